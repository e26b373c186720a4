"""mmpretrain's vis_cam.py for models with spatial transformers.

It takes the same arguments, and lays the activation maps of a layer that sees a window back onto
the image: python tools/visualization/vis_cam.py IMAGE CONFIG CHECKPOINT --save-path cam.png. It
needs `pip install "grad-cam>=1.3.6"`.
"""

import importlib.util
from pathlib import Path
from types import ModuleType

import mmpretrain
import numpy as np
import torch
from torch import Tensor, nn

from mmstn.visualization import TransformerRecord, lay_back, record_transformers


def laid_back(method: type) -> type:
    """A method of grad-cam whose maps lie on the image."""

    class LaidBack(method):
        def forward(self, *args, **kwargs) -> np.ndarray:
            # What the transformers did until a target layer was called; in its first call, as some
            # methods go on to ask the model about changed images.
            self.done: dict[nn.Module, list[TransformerRecord]] = {}

            def keep(layer: nn.Module, args: tuple, output: Tensor) -> None:
                self.done.setdefault(layer, list(records))

            handles = [layer.register_forward_hook(keep) for layer in self.target_layers]
            try:
                with record_transformers(self.model) as records:
                    return super().forward(*args, **kwargs)
            finally:
                for handle in handles:
                    handle.remove()

        def get_cam_image(self, input_tensor, target_layer, *args, **kwargs) -> np.ndarray:
            cam = super().get_cam_image(input_tensor, target_layer, *args, **kwargs)
            name = next(n for n, module in self.model.named_modules() if module is target_layer)
            # Before grad-cam scales each map to its own largest value: views keep their weight.
            maps = torch.from_numpy(np.maximum(cam, 0))
            return lay_back(maps, name, self.model, self.done[target_layer]).cpu().numpy()

    return LaidBack


def load_tool() -> ModuleType:
    """mmpretrain's tool, from an installed package or a source checkout.

    Raises:
        FileNotFoundError: If mmpretrain has come without its tools.
    """
    package = Path(mmpretrain.__path__[0])
    name = Path('tools', 'visualization', 'vis_cam.py')
    places = [package / '.mim' / name, package.parent / name]
    for place in places:
        if place.is_file():
            spec = importlib.util.spec_from_file_location('vis_cam', place)
            tool = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(tool)
            return tool
    raise FileNotFoundError(f'mmpretrain has come without its tools: there is no {places[0]}')


def main() -> None:
    tool = load_tool()
    methods = tool.METHOD_MAP
    methods.update({name: laid_back(method) for name, method in methods.items()})
    tool.main()


if __name__ == '__main__':
    main()
