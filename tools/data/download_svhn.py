"""Fetches SVHN's full numbers: python tools/data/download_svhn.py.

2.6 GB in three archives. An archive that lies in the folder already, fetched by hand, is checked
and taken; a folder that is unpacked already is left alone.
"""

import argparse
import os
import os.path as osp
import shutil
import tarfile
import tempfile
from urllib.error import URLError

from rich.progress import track
from torch.hub import download_url_to_file

from mmstn.datasets.digit_struct import FILE_NAME, sha256

HOST = 'http://ufldl.stanford.edu/housenumbers/'
# The sums that the data sets of Hugging Face and docTR check too.
SHA256 = {
    'train': '4b17bb33b6cd8f963493168f80143da956f28ec406cc12f8e5745a9f91a51898',
    'test': '57ac9ceb530e4aa85b55d991be8fc49c695b3d71c6f6a88afea86549efde7fb5',
    'extra': 'e857e27d1e65bd1e7d3959b094061777f6506bbc39889a0df3bba6a729d60f9c',
}


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument('out', nargs='?', default='data/svhn', help='folder to unpack to')
    parser.add_argument(
        '--parts', nargs='+', choices=SHA256, default=list(SHA256), help='which archives'
    )
    parser.add_argument('--remove-archives', action='store_true', help='once they are unpacked')
    return parser.parse_args(argv)


def fetch(part: str, out: str) -> str:
    """The path of a checked archive, fetched if it is not there."""
    name = f'{part}.tar.gz'
    path = osp.join(out, name)
    by_hand = f'fetch {HOST}{name} by hand, put it into {out} and run this again'
    if osp.exists(path):
        print(f'Checking {path}', flush=True)
        if (found := sha256(path)) != SHA256[part]:
            raise SystemExit(
                f'{path} is damaged: its SHA-256 must be {SHA256[part]}, got {found}. '
                f'Remove it and run this again, or {by_hand}.'
            )
        return path
    print(f'Fetching {HOST}{name}', flush=True)
    try:
        # Writes to a temporary file that it renames when the sum is right.
        download_url_to_file(HOST + name, path, hash_prefix=SHA256[part])
    except (URLError, OSError) as error:
        raise SystemExit(f'No way to {HOST} ({error}). Where there is one, {by_hand}.') from error
    except RuntimeError as error:  # the sum is wrong
        raise SystemExit(f'{HOST}{name} arrived damaged ({error}). Run this again.') from error
    return path


def unpack(archive: str, part: str, out: str) -> None:
    """Unpacks ``part/`` all at once or not at all."""
    temporary = tempfile.mkdtemp(prefix=f'.{part}-', dir=out)
    try:
        with tarfile.open(archive) as tar:
            # Never outside of the folder (where Python is too old for it, the sum must do).
            tar.extraction_filter = getattr(tarfile, 'data_filter', None)
            for member in track(tar, f'Unpacking {archive}', total=None):
                tar.extract(member, temporary)
        if not osp.exists(osp.join(temporary, part, FILE_NAME)):
            raise SystemExit(f'{archive} must hold {part}/{FILE_NAME}, but does not')
        os.rename(osp.join(temporary, part), osp.join(out, part))
    except (tarfile.TarError, EOFError, OSError) as error:
        raise SystemExit(f'{archive} could not be unpacked ({error})') from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    os.makedirs(args.out, exist_ok=True)
    for part in args.parts:
        if osp.exists(osp.join(args.out, part)):
            print(f'{osp.join(args.out, part)} is there already')
            continue
        archive = fetch(part, args.out)
        unpack(archive, part, args.out)
        if args.remove_archives:
            os.remove(archive)


if __name__ == '__main__':
    main()
