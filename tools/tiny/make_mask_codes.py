#!/usr/bin/env python3
"""The codes that PyTorch finds with models/tiny's encoder for masks of the test split: tests/golden/tiny/mask_codes.npz.

    venv/bin/python tools/tiny/make_mask_codes.py

masks [20, 64, 64], the bytes 0 to 255; codes [20, 16]. A mask is taken if each of its codes is nearer than the next by
a thousandth of that distance, so that another order of the sums finds the same. Needs scene_examples in build/cpu.
"""
import io
import zipfile

import numpy as np
import torch

import scenes
import vqvae

MASKS, MARGIN = 20, 1e-3
OUT = scenes.ROOT / "tests" / "golden" / "tiny" / "mask_codes.npz"


def main():
    model = vqvae.load(scenes.ROOT / "models" / "tiny" / "vae-oid.npz")
    masks = np.concatenate([scene.masks for scene in scenes.scenes("test", 0, 2 * MASKS)])
    with torch.no_grad():
        z = model.encode(vqvae.as_target(torch.from_numpy(masks)))
    two = torch.cdist(z, model.embedding).square().topk(2, largest=False).values
    clear = (two[..., 1] > (1 + MARGIN) * two[..., 0]).all(1).numpy()
    masks = masks[clear][:MASKS]
    codes = model.codes(masks)
    iou = vqvae.overlap(model.masks(codes), torch.from_numpy(masks) > 127)
    with zipfile.ZipFile(OUT, "w") as archive:  # as numpy.savez_compressed does, but without the time of day
        for name, array in dict(masks=masks.astype(np.float16), codes=codes.numpy().astype(np.float32)).items():
            file = io.BytesIO()
            np.save(file, array)
            archive.writestr(zipfile.ZipInfo(name + ".npy"), file.getvalue(), zipfile.ZIP_DEFLATED)
    print(f"{len(masks)} masks, {(~clear).sum()} of {len(clear)} left out; mean IoU {iou.mean():.3f}")


if __name__ == "__main__":
    main()
