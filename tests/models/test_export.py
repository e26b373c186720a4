"""Every family of transforms in graphs of torch.jit.trace, ONNX, torch.export and torch.compile.

Each graph is made with one batch and asked for a larger one.
"""

import pytest
import torch
from mmpretrain.registry import MODELS
from torch import nn

from mmstn.models import BackboneLocNet, BaseGridGenerator, SpatialTransformer
from tests.old_torch import BY_TORCHSCRIPT, torch_must

FAMILIES = [
    name
    for name, cls in MODELS.module_dict.items()
    if isinstance(cls, type) and issubclass(cls, BaseGridGenerator)
]


def transformer(family, num_transformers, **options):
    torch.manual_seed(0)
    st = SpatialTransformer(
        loc_net=dict(
            type='ConvLocNet', in_channels=1, in_size=(12, 11), channels=(2,), kernel_sizes=3,
            pool_sizes=1, fc_channels=(4,),
        ),
        grid_generator=dict(type=family),
        out_size=(5, 6),
        num_transformers=num_transformers,
        **options,
    )  # fmt: skip
    nn.init.normal_(st.loc_net.regression.weight, std=0.3)
    return st.eval()


def traced(model, image, path):
    return torch.jit.trace(model, (image,))


def exported(model, image, path):
    torch_must('export graphs for any batch size')
    batch = torch.export.Dim('batch')
    return torch.export.export(model, (image,), dynamic_shapes=({0: batch},)).module()


def compiled(model, image, path):
    torch_must('compile all of it into one graph')
    torch.compiler.reset()
    return torch.compile(model, fullgraph=True, dynamic=True, backend='aot_eager')


def onnx_of_torchscript(model, image, path):
    pytest.importorskip('onnx')
    torch.onnx.export(
        model, (image,), path, opset_version=16, input_names=['image'],
        dynamic_axes={'image': {0: 'batch'}}, **BY_TORCHSCRIPT,
    )  # fmt: skip
    return session(path)


def onnx_of_dynamo(model, image, path):
    pytest.importorskip('onnxscript')
    torch_must('write ONNX by its new exporter')
    torch.onnx.export(
        model, (image,), path, dynamo=True, opset_version=20, input_names=['image'],
        dynamic_shapes=({0: torch.export.Dim('batch')},), verbose=False,
    )  # fmt: skip
    return session(path)


def session(path):
    run = pytest.importorskip('onnxruntime').InferenceSession(path).run
    return lambda image: torch.from_numpy(run(None, {'image': image.numpy()})[0])


def check(graph, model, path, size=(12, 11), channels=1):
    graph = graph(model, torch.rand(2, channels, *size), path / 'model.onnx')
    image = torch.rand(3, channels, *size)
    torch.testing.assert_close(graph(image), model(image), rtol=0, atol=1e-4)


@pytest.mark.filterwarnings('ignore')
@pytest.mark.parametrize('num_transformers', [None, 2])
@pytest.mark.parametrize('family', FAMILIES)
@pytest.mark.parametrize('graph', [traced, onnx_of_torchscript])
def test_torchscript(graph, family, num_transformers, tmp_path):
    check(graph, transformer(family, num_transformers), tmp_path)


@pytest.mark.filterwarnings('ignore')
@pytest.mark.parametrize('family', FAMILIES)
@pytest.mark.parametrize('graph', [exported, compiled])
def test_dynamo(graph, family, tmp_path):
    check(graph, transformer(family, 2), tmp_path)


@pytest.mark.filterwarnings('ignore')
@pytest.mark.parametrize(
    ('graph', 'family'),
    [
        (traced, 'AffineGridGenerator'),
        (traced, 'ProjectiveGridGenerator'),
        (onnx_of_torchscript, 'AffineGridGenerator'),
        (onnx_of_torchscript, 'ProjectiveGridGenerator'),
        (onnx_of_dynamo, 'AffineGridGenerator'),
    ],
)
def test_antialias(graph, family, tmp_path):
    st = transformer(family, 2, antialias=2)
    check(graph, st, tmp_path)


@pytest.mark.filterwarnings('ignore')
@pytest.mark.parametrize('pool_size', [None, 2])
def test_a_backbone_on_a_smaller_image(pool_size, tmp_path):
    net = BackboneLocNet(
        nn.Conv2d(3, 4, 3, 2), in_size=(11, 14), num_params=6, reduction_channels=2,
        fc_channels=(4,), downsample=2, pool_size=pool_size,
    )  # fmt: skip
    nn.init.normal_(net.regression.weight)
    check(traced, net, tmp_path, size=(11, 14), channels=3)
    if pool_size is not None:  # sizes are followed, too
        graph, image = torch.jit.trace(net, torch.rand(2, 3, 11, 14)), torch.rand(2, 3, 18, 13)
        torch.testing.assert_close(graph(image), net(image))


@pytest.mark.filterwarnings('ignore')
@pytest.mark.parametrize('graph', [onnx_of_torchscript, onnx_of_dynamo])
def test_windows_found_on_a_smaller_image(graph, tmp_path):
    """The bird models: attention, two windows, a localisation net that sees half of the pixels."""
    st = SpatialTransformer(
        loc_net=dict(
            type='BackboneLocNet', backbone=nn.Conv2d(3, 4, 3, 2), in_size=(12, 16),
            reduction_channels=2, fc_channels=(4,), downsample=2,
        ),
        grid_generator=dict(type='AttentionGridGenerator', scale=0.5),
        num_transformers=2,
        init='tile',
        out_size=(6, 8),
    )  # fmt: skip
    nn.init.normal_(st.loc_net.regression.weight, std=0.3)
    check(graph, st.eval(), tmp_path, size=(12, 16), channels=3)
