"""Turns Caffe's BN-Inception, as it is published for PyTorch, into a checkpoint for InceptionV2.

    caffe_to_inception_v2.py bn_inception-52deb4733.pth checkpoints/inception_v2.pth
    caffe_to_inception_v2.py open-mmlab://bninception_caffe checkpoints/inception_v2.pth

The convolutions of that network have biases before batch normalisation, which takes them out
again: they are folded into its running means. The images must come as these weights know them:
``data_preprocessor=dict(mean=[104, 117, 128], std=[1, 1, 1], to_rgb=False)``.
"""

import argparse
import os
import sys

import torch
from mmengine.runner.checkpoint import get_external_models
from torch import Tensor

from mmstn.models import InceptionV2

STEM = {0: 'conv1_7x7_s2', 2: 'conv2_3x3_reduce', 3: 'conv2_3x3'}
BRANCHES = {
    'conv1x1': '1x1',
    'conv3x3.0': '3x3_reduce',
    'conv3x3.1': '3x3',
    'double3x3.0': 'double_3x3_reduce',
    'double3x3.1': 'double_3x3_1',
    'double3x3.2': 'double_3x3_2',
    'pool.1': 'pool_proj',
}
CLASSIFIERS = ('last_linear', 'fc')  # the names that different publications use


def source_name(module: str) -> str:
    """The published name of a convolution: ``stage1.inception_3a.conv1x1`` -> ``..3a_1x1``."""
    if module.startswith('stem.'):
        return STEM[int(module.removeprefix('stem.'))]
    _, block, branch = module.split('.', 2)
    return f'{block}_{BRANCHES[branch]}'


def convert(source: dict[str, Tensor]) -> dict[str, Tensor]:
    """The state dict of an ``ImageClassifier`` with an ``InceptionV2`` and a ``LinearClsHead``.

    Args:
        source: The published state dict.

    Returns:
        Tensors named ``backbone.*``, and ``head.fc.*`` if the source has a classifier.

    Raises:
        ValueError: If tensors are missing, have another shape, or are left over.
    """
    left = dict(source)

    def take(name: str, shape: torch.Size) -> Tensor:
        if name not in left:
            raise ValueError(f'source must hold {name!r}, of shape {tuple(shape)}, but does not')
        tensor = left.pop(name)
        if tensor.shape == (1, *shape):  # Caffe's normalisation layers keep a batch dimension
            tensor = tensor[0]
        if tensor.shape != shape:
            raise ValueError(
                f'{name} must have shape {tuple(shape)}, got shape {tuple(tensor.shape)}'
            )
        return tensor

    pool = 'inception_4c_pool_proj.weight'
    pool_channels = 96 if pool in source and source[pool].shape[:1] == (96,) else 128
    target = InceptionV2(pool_channels=pool_channels).state_dict()
    result = {}
    for weight in [name for name in target if name.endswith('.conv.weight')]:
        module = weight.removesuffix('.conv.weight')
        name = source_name(module)
        shape = target[weight].shape
        result[weight] = take(f'{name}.weight', shape)
        bias = take(f'{name}.bias', shape[:1])
        for field in ('weight', 'bias', 'running_mean', 'running_var'):
            result[f'{module}.bn.{field}'] = take(f'{name}_bn.{field}', shape[:1])
        result[f'{module}.bn.running_mean'] = result[f'{module}.bn.running_mean'] - bias
        batches = left.pop(f'{name}_bn.num_batches_tracked', torch.tensor(0))
        result[f'{module}.bn.num_batches_tracked'] = batches
    assert set(result) == set(target)

    result = {f'backbone.{name}': tensor for name, tensor in result.items()}
    for classifier in CLASSIFIERS:
        if f'{classifier}.weight' in left:
            num_classes = len(left[f'{classifier}.weight'])
            result['head.fc.weight'] = take(f'{classifier}.weight', torch.Size([num_classes, 1024]))
            result['head.fc.bias'] = take(f'{classifier}.bias', torch.Size([num_classes]))
            break
    if left:
        raise ValueError(f'source must hold nothing but BN-Inception, got also: {sorted(left)}')
    return result


def load(source: str) -> dict[str, Tensor]:
    """Reads tensors, and nothing that could run code, from a file or an address.

    Raises:
        OSError: If there is no such file or address.
        ValueError: If it holds anything else.
    """
    if source.startswith('open-mmlab://'):
        models = get_external_models()
        name = source.removeprefix('open-mmlab://')
        if name not in models:
            raise ValueError(f'mmengine knows no model {source!r}')
        source = models[name]
    expected = 'expected the named weights of a BN-Inception, a file that torch.save has written'
    try:
        if source.startswith(('http://', 'https://')):
            state = torch.hub.load_state_dict_from_url(
                source, map_location='cpu', weights_only=True
            )
        else:
            state = torch.load(source, map_location='cpu', weights_only=True)
    except OSError:
        raise
    except Exception as error:  # unpickling other files raises all kinds of errors
        raise ValueError(f'{expected} ({type(error).__name__}: {error})') from error
    state = state.get('state_dict', state) if isinstance(state, dict) else state
    if not isinstance(state, dict) or not all(isinstance(x, Tensor) for x in state.values()):
        raise ValueError(f'{expected}, got {type(state).__name__}')
    return state


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('source', help='a file, an https:// address or open-mmlab://<name>')
    parser.add_argument('target', help='the file to write')
    args = parser.parse_args(argv)
    try:
        result = convert(load(args.source))
    except (ValueError, OSError) as error:
        sys.exit(f'{args.source}: {error}')
    partial = f'{args.target}.partial'  # a run that is cut off leaves no broken checkpoint
    torch.save(dict(state_dict=result), partial)
    os.replace(partial, args.target)
    pool_channels = result['backbone.stage2.inception_4c.pool.1.conv.weight'].shape[0]
    print(f'{args.target}: {len(result)} tensors, InceptionV2(pool_channels={pool_channels})')


if __name__ == '__main__':
    main()
