"""Every documented argument of every public class and function, fed with what it does not take.

A wrong value must end in a TypeError or ValueError that names the argument: for a class when it is
made, for a function when it is called. What is registered or stands in an ``__all__`` is found by
itself; ``EXAMPLES`` says how to call it.
"""

import importlib
import inspect
import math
import pkgutil
import re
import signal

import cv2
import mmpretrain.registry
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import Registry, init_default_scope
from torch import nn

import mmstn
from mmstn import ops
from mmstn.models import AffineGridGenerator, SpatialTransformer
from mmstn.visualization import ImageStyle, SheetSample, record_transformers

from .datasets.cub_files import make_cub
from .datasets.svhn_files import make_folder

LOC_NET = dict(type='FCLocNet', in_channels=1, in_size=16, fc_channels=(4,))
AFFINE = dict(type='AffineGridGenerator')
ST = dict(loc_net=LOC_NET, grid_generator=AFFINE)
BACKBONE = dict(type='MNISTCNN', in_size=16, channels=(2, 2), kernel_sizes=(3, 3))
IMAGES = torch.rand(2, 1, 16, 16)


def transformer():
    return SpatialTransformer(**ST)


def a_record():
    model = transformer()
    with record_transformers(model) as records:
        model(IMAGES[:1])
    return records[0]


def svhn(folder):
    make_folder(folder, 'train')
    return dict(data_root=str(folder), val_folders=('train',), num_val=2)


def picture(folder):
    cv2.imwrite(str(folder / '1.png'), np.zeros((8, 8, 3), np.uint8))
    return dict(pictures=[str(folder / '1.png')], out_file=str(folder / 'out.gif'))


def a_classifier():
    head = dict(type='DropoutLinearClsHead', num_classes=3, in_channels=2)
    return dict(type='ImageClassifier', backbone=BACKBONE, head=head)


def a_config():
    pipeline = [dict(type='LoadImageFromFile'), dict(type='PackInputs')]
    loader = dict(dataset=dict(type='CustomDataset', pipeline=pipeline))
    return Config(dict(model=a_classifier(), test_dataloader=loader))


# Arguments that a call needs; a function of an empty folder where it needs files.
EXAMPLES = {
    'ActivationEncoder': lambda _: dict(classifier=a_classifier(), layers=['backbone']),
    'BaseLocNet': dict(num_params=6),
    'BackboneLocNet': dict(backbone=dict(type='SVHNCNN', in_size=16), in_size=16, num_params=6),
    'CUBParts': lambda folder: dict(data_root=str(make_cub(folder))),
    'ConvLocNet': dict(in_channels=1, num_params=6, in_size=32),
    'DepthProjection': dict(backbone=BACKBONE),
    'DropoutLinearClsHead': dict(num_classes=3, in_channels=4),
    'FCLocNet': dict(in_channels=1, in_size=8, num_params=6),
    'ImagesAmongOthers': dict(dataset=dict(type='MNIST5k'), others=dict(type='MNIST5k')),
    'MNIST5kOneClass': dict(label=1),
    'MNISTCNN': dict(in_size=28),
    'MNISTFC': dict(in_size=28),
    'MultiImageDataset': dict(dataset=dict(type='MNIST5k')),
    'NumberHead': dict(in_channels=4),
    'ParallelLocNet': dict(loc_net=LOC_NET, num_params=6, num_transformers=2),
    'RandomWarp': dict(grid_generator=AffineGridGenerator()),
    'RandomCropParts': dict(crop_size=8),
    'STNInferencer': lambda _: dict(model=a_config(), pretrained=False),
    'STNBackbone': dict(backbone=BACKBONE, transformer=ST),
    'STNCoLocalizer': lambda _: dict(
        transformer=dict(loc_net=LOC_NET, grid_generator=dict(type='AttentionGridGenerator')),
        encoder=dict(type='ActivationEncoder', classifier=a_classifier(), layers=['backbone']),
        loss=dict(type='TripletHingeLoss'),
    ),
    'STNNeck': dict(transformer=ST),
    'SVHN': svhn,
    'RandomFlipParts': dict(prob=0.5),
    'SamplingKernel': dict(function=torch.cos, support=1.5),
    'ScaleAnnealingHook': dict(num_iters=10, start=1.0, end=0.5),
    'SpatialTransformer': ST,
    'affine_grid_sample': dict(input=IMAGES, matrix=torch.rand(2, 2, 3), out_size=(4, 4)),
    'draw_input': lambda _: dict(record=a_record(), style=ImageStyle(), size=32),
    'draw_sheet': lambda _: dict(samples=[SheetSample([a_record()])]),
    'draw_windows': dict(image=np.zeros((8, 8, 3), np.uint8), outlines=np.zeros((1, 4, 2))),
    'grid_sample': dict(input=IMAGES, grid=torch.rand(2, 4, 4, 2)),
    'map_to_image': dict(x=IMAGES[0], style=ImageStyle(), reference=IMAGES[1]),
    'matrix_grid': dict(matrix=torch.rand(2, 2, 3), out_size=(4, 4)),
    'record_transformers': lambda _: dict(model=transformer()),
    'reference_grid_sample': dict(input=IMAGES, grid=torch.rand(2, 1, 4, 4, 2)),
    'regular_axis': dict(size=4, align_corners=False),
    'regular_grid': dict(out_size=(4, 4)),
    'save_animation': picture,
    'set_backend': dict(name='auto'),
    'use_backend': dict(name='auto'),
    'lay_back': lambda _: dict(
        maps=IMAGES[:1, 0], layer='loc_net', model=transformer(), records=[]
    ),
    'window_outlines': dict(grid_generator=AffineGridGenerator(), theta=torch.rand(2, 6)),
}

# Handed on to mmengine and torch, which say what they take.
THEIRS = {'init_cfg', 'metainfo', 'dtype', 'device', 'model of STNInferencer', 'pretrained'}


def targets():
    """Public classes and functions by name."""
    found = {}
    for registry in vars(mmpretrain.registry).values():
        if isinstance(registry, Registry):
            found |= {
                name: part
                for name, part in registry.module_dict.items()
                if part.__module__.startswith('mmstn.')
                and inspect.isclass(part)  # old names are functions
            }
    packages = [mmstn, *(importlib.import_module(m.name) for m in PACKAGES)]
    for package in packages:
        for name in getattr(package, '__all__', ()):
            part = getattr(package, name)
            if callable(part):
                found.setdefault(name, part)
    return found


PACKAGES = [
    module
    for module in pkgutil.walk_packages(mmstn.__path__, 'mmstn.')
    if module.ispkg and 'experiments' not in module.name
]
TARGETS = targets()


def arguments(part):
    """The documented arguments of a class or function, and what types each takes."""
    function = part.__init__ if inspect.isclass(part) else part
    if not str(getattr(function, '__module__', None)).startswith('mmstn'):
        if not (inspect.isclass(part) and '__dataclass_fields__' in vars(part)):
            return {}  # inherited from mmcv and others
    documented = re.search(r'\n\s*Args:\n(.*?)(\n\s*\n|$)', inspect.getdoc(part) or '', re.S)
    names = re.findall(r'^ {4}(\w+):', documented[1], re.M) if documented else []
    parameters = inspect.signature(part).parameters
    return {
        name: split(inspect.formatannotation(parameters[name].annotation).strip("'"))
        for name in names
        if not {name, f'{name} of {part.__name__}'} & THEIRS
    }


def split(annotation):
    """The types of a union, without their modules: ``int | Sequence[int] | None``."""
    depth, words = 0, ['']
    for letter in annotation.replace(' ', ''):
        depth += {'[': 1, ']': -1}.get(letter, 0)
        if letter == '|' and not depth:
            words.append('')
        else:
            words[-1] += letter
    return [re.sub(r'(\w+\.)+', '', word) for word in words]


def wrong_values(types, example):
    """What an argument of these types does not take."""

    def takes(*names):
        return any(re.match(rf'({name})\b', kind) for kind in types for name in names)

    if types == ['Any'] or types == ['_empty']:
        return []
    values = [object(), 1j, {3: 4}, {}, 'no such thing', '']
    if not takes('None'):
        values.append(None)
    if takes('float'):
        values += [math.nan, math.inf, -math.inf, -1, -1e300]
    elif takes('int'):
        values += [math.nan, math.inf, 1.5, -1, 0, -(2**70)]
    else:
        values += [3, 0.5]
    if takes('int', 'float') and not takes('bool'):
        values.append(True)
    if takes('bool') and not takes('float'):
        values += ['False', 2]
    if takes('dict'):
        values += [dict(type='NoSuchThing'), dict(type=3), dict(a=1)]
        values += [dict(type='BN', nonsense=1), nn.Conv2d]
    if takes('Sequence'):
        values += [[object()], [None, None], [{}], ['no such thing'], [[]]]
        if any(re.match(r'Sequence\[(int|float)\]', kind) for kind in types):
            values += [[math.nan] * 2, [math.inf] * 2, [-math.inf, 1], [-1, -1], ['a', 'b']]
        if 'Sequence[int]' in types:
            values += [[0, 0], [1.5, 2.5]]
    elif takes('Tensor'):
        shape = example.shape
        values += [np.ones(shape), torch.ones(shape, dtype=torch.int64), [1.0]]
        values += [torch.ones(shape[:-1]), torch.ones(()), torch.ones((1, *shape, 7))]
    elif takes('ndarray'):
        values += [[1.0], np.array('x'), np.ones(()), np.ones((2, 2, 2, 2, 2))]
    else:
        values += [[], [1], (None,)]
    return values


# What looks wrong and is right, for an argument of this name or of one class.
TAKEN = {
    'MNIST5kOneClass.label': [0],
    'NonFiniteHook.max_skips': [0],
    'SVHN.num_val': [0],
    'ScaleAnnealingHook.transformer': ['no such thing', ''],  # the model is not known yet
    'SequenceAccuracy.null': [0],
    'WindowsHook.transformer': ['no such thing', ''],
    'LossDifferencesHook.begin': [0],
    'LossDifferencesHook.transformers': [['no such thing']],  # the model is not known yet
    'data_root': [''],  # where Python runs
    'draw_input.margin': [0],
    'draw_sheet.title': ['no such thing', ''],
    'draw_windows.first_color': [0],
    'InceptionV2.frozen_stages': [-1, 0],
    'InceptionV2.out_indices': [[0, 0]],
    'STNBackbone.insert': [{}],
    'STNCoLocalizer.data_preprocessor': [{}],
    'STNNeck.stages': [-1, 0, -(2**70)],
    'fc_channels': [[]],
    'lay_back.layer': [''],  # the model itself
    'paddings': [0, [0, 0]],
    'prefix': ['no such thing', ''],
    'save_animation.out_file': ['no such thing'],
    'seed': [0],
    'val_seed': [0],
}


def taken(name, argument, value):
    if isinstance(value, torch.Tensor):  # a picture may be of whole numbers
        return name == 'map_to_image' and not value.is_floating_point()
    return any(
        type(value) is type(each) and value == each
        for each in TAKEN.get(argument, []) + TAKEN.get(f'{name}.{argument}', [])
    )


@pytest.fixture(autouse=True)
def in_time():
    """Nothing may go on without end."""
    init_default_scope('mmpretrain')

    def stop(*_):
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, stop)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def call(part, options):
    signal.alarm(60)
    if inspect.isabstract(part):
        part = type(part.__name__, (part,), dict.fromkeys(part.__abstractmethods__))
    with ops.use_backend(ops.get_backend()):
        result = part(**options)
        if hasattr(result, '__enter__') and not isinstance(result, nn.Module):
            with result:  # a context manager of ours looks at its arguments as it begins
                pass
    return result


def outcome(part, options, name, value):
    """What is wrong with the answer to a wrong value; None where it names the argument."""
    try:
        call(part, options | {name: value})
    except (TypeError, ValueError) as error:
        if re.search(rf'\b{name}\b', str(error)):
            return None
        return f'{type(error).__name__} without its name: {error}'
    except FileNotFoundError as error:  # a path is named by itself
        names = value if isinstance(value, list) else [value]
        return None if all(str(each) in str(error) for each in names) else f'not named: {error}'
    except BaseException as error:
        return f'{type(error).__name__}: {error}'
    return 'accepted'


@pytest.mark.parametrize('name', sorted(name for name in TARGETS if arguments(TARGETS[name])))
def test_wrong_arguments_are_named(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # some names that are no mistake make files
    part, failures = TARGETS[name], []
    make = EXAMPLES.get(name, {})
    options = make(tmp_path) if callable(make) else make
    call(part, options)  # the example itself is good
    defaults = inspect.signature(part).parameters
    for argument, types in arguments(part).items():
        example = options.get(argument, defaults[argument].default)
        for value in wrong_values(types, example):
            wrong = outcome(part, options, argument, value)
            if wrong and not (wrong == 'accepted' and taken(name, argument, value)):
                failures.append(f'{argument}={value!r:.60}: {wrong:.300}')
    assert not failures, f'{name}:\n  ' + '\n  '.join(failures)
