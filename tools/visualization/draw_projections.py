"""Draws volumes along depth, before and after a 3-D transformer, of some test samples."""

import argparse
import sys
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from mmengine.runner import load_checkpoint

from mmstn.visualization import record_transformers

sys.path.append(str(Path(__file__).parents[1]))
from command_line import add_common_arguments, build_runner, load_config


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Draw the projections of volumes before and after a spatial transformer'
    )
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('--out', required=True, help='picture to write, such as projections.png')
    parser.add_argument('--num-samples', type=int, default=8, help='how many (default: 8)')
    add_common_arguments(parser)
    args = parser.parse_args(argv)
    if args.num_samples < 1:
        parser.error(f'--num-samples must be >= 1, got {args.num_samples}')
    return args


def draw(rows: dict[str, torch.Tensor], titles: list[str]) -> Figure:
    """One column a sample; images (N, H, W) by the name of their row."""
    figure = Figure(figsize=(1.4 * len(titles) + 0.6, 1.45 * len(rows) + 0.3), dpi=100)
    axes = figure.subplots(len(rows), len(titles), squeeze=False)
    for line, (name, images) in zip(axes, rows.items(), strict=True):
        line[0].set_ylabel(name, fontsize=8)
        for cell, image in zip(line, images, strict=True):
            cell.imshow(image.cpu().numpy(), cmap='gray', vmin=0)
            cell.set(xticks=[], yticks=[])
    for cell, title in zip(axes[0], titles, strict=True):
        cell.set_title(title, fontsize=8)
    figure.tight_layout(pad=0.4)
    return figure


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    runner = build_runner(load_config(args), args)
    load_checkpoint(runner.model, args.checkpoint, map_location='cpu')
    dataset = runner.test_dataloader.dataset
    # Evenly spread: test sets are often sorted by class.
    places = np.linspace(0, len(dataset) - 1, args.num_samples).round().astype(int)
    batch = [dataset[int(place)] for place in places]
    data = {key: [sample[key] for sample in batch] for key in batch[0]}
    data['inputs'] = torch.stack(data['inputs'])
    runner.model.eval()
    with torch.no_grad(), record_transformers(runner.model) as records:
        predictions = runner.model.test_step(data)
    volumes = [record for record in records if record.input.dim() == 5]
    if not volumes:
        raise ValueError(f'{args.config} must have a transformer of volumes, it has none')
    record = volumes[0]
    rows = {
        'before, along depth': record.input[:, 0].mean(dim=1),
        'before, from above': record.input[:, 0].mean(dim=2),
        'after, along depth': record.output[:, 0].mean(dim=1),
        'after, from above': record.output[:, 0].mean(dim=2),
    }
    titles = [f'{int(p.gt_label)}, taken for {int(p.pred_label)}' for p in predictions]
    Path(args.out).parent.mkdir(parents=True, exist_ok=True)
    draw(rows, titles).savefig(args.out)


if __name__ == '__main__':
    main()
