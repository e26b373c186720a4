"""tools/train.py with one process: resuming, options, and what it says when they are wrong."""

import pytest
import torch
from mmengine.runner.checkpoint import _load_checkpoint


def read(path):
    """A Runner's checkpoint, read as mmengine reads it."""
    return _load_checkpoint(str(path), map_location='cpu')


@pytest.fixture
def train(load_tool, project):
    def run(work_dir, *options):
        arguments = [str(project / 'config.py'), '--work-dir', str(work_dir), *options]
        load_tool('train').main(arguments)
        return work_dir

    return run


@pytest.mark.parametrize('resume', [('--resume',), ('--resume', '{work_dir}/epoch_1.pth')])
def test_resuming_ends_where_training_at_one_go_ends(train, tmp_path, resume):
    """The second epoch needs the weights and the momentum of the first, not those of the start."""
    straight = read(train(tmp_path / 'straight') / 'epoch_2.pth')
    broken_off = train(tmp_path / 'resumed', '--cfg-options', 'train_cfg.max_epochs=1')
    assert not (broken_off / 'epoch_2.pth').exists()
    train(broken_off, *(option.format(work_dir=broken_off) for option in resume))
    resumed = read(broken_off / 'epoch_2.pth')
    assert resumed['meta']['epoch'] == 2
    first = read(broken_off / 'epoch_1.pth')['state_dict']
    for name, expected in straight['state_dict'].items():
        torch.testing.assert_close(resumed['state_dict'][name], expected, rtol=0, atol=0)
        assert not torch.equal(first[name], expected)


def test_options_reach_the_runner(load_tool, project, tmp_path):
    tool = load_tool('train')
    args = tool.parse_args(
        [str(project / 'config.py'), '--work-dir', str(tmp_path), '--no-validate']
        + ['--auto-scale-lr', '--no-pin-memory', '--no-persistent-workers']
        + ['--cfg-options', 'train_dataloader.num_workers=2', 'optim_wrapper.optimizer.lr=0.5']
    )
    cfg = tool.load_config(args)
    tool.merge_args(cfg, args)
    runner = tool.build_runner(cfg, args)
    assert runner.work_dir == str(tmp_path)
    assert runner.val_loop is None
    loader = runner.build_dataloader(cfg.train_dataloader)
    assert (loader.pin_memory, loader.persistent_workers, loader.num_workers) == (False, False, 2)
    # A batch of 12 where the config's learning rate is meant for 6: twice as much.
    optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
    runner.scale_lr(optim_wrapper, runner.auto_scale_lr)
    assert optim_wrapper.optimizer.param_groups[0]['lr'] == 1.0


def test_work_dir_is_named_after_the_config_where_nobody_names_one(load_tool, tmp_path):
    (tmp_path / 'lenet.py').write_text('a = 1\n')
    tool = load_tool('train')
    cfg = tool.load_config(tool.parse_args([str(tmp_path / 'lenet.py')]))
    assert cfg.work_dir == './work_dirs/lenet'


def test_amp_without_a_gpu_says_what_is_missing(load_tool, project, monkeypatch, capsys):
    tool = load_tool('train')
    monkeypatch.setattr(tool, 'get_device', lambda: 'cpu')
    with pytest.raises(SystemExit):
        tool.parse_args([str(project / 'config.py'), '--amp'])
    assert '--amp needs one of the devices cuda' in capsys.readouterr().err


def test_auto_scale_lr_needs_a_base_batch_size(load_tool, tmp_path):
    (tmp_path / 'lenet.py').write_text('a = 1\n')
    tool = load_tool('train')
    args = tool.parse_args([str(tmp_path / 'lenet.py'), '--auto-scale-lr'])
    with pytest.raises(ValueError, match='base_batch_size'):
        tool.merge_args(tool.load_config(args), args)


def test_launcher_without_processes_is_explained(load_tool, project, monkeypatch):
    monkeypatch.delenv('RANK', raising=False)
    tool = load_tool('train')
    with pytest.raises(RuntimeError, match='torch.distributed.run'):
        tool.main([str(project / 'config.py'), '--launcher', 'pytorch'])
