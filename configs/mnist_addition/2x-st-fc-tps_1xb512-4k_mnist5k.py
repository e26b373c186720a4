_base_ = './2x-st-fc-affine_1xb512-4k_mnist5k.py'
# Normalised (256 parameters more), as the control points of one ST are lost for good without.
model = dict(
    backbone=dict(
        insert=dict(
            layers=dict(
                loc_net=dict(loc_net=dict(norm_cfg=dict(type='BN1d'))),
                grid_generator=dict(type='TPSGridGenerator'),
            )
        )
    )
)
