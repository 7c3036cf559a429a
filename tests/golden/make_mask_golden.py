#!/usr/bin/env python3
"""Makes tests/golden/masks: a small random mask decoder under the names of big_vision's vae-oid.npz,
and what PyTorch and Pillow make of it. Run as tests/golden/README.md says.

    vae-oid.npz   the arrays of the genuine file, narrower; the encoder's are there to be passed over
    golden.npz    codes [3, 16], values [3, 64, 64] and their tolerance; for Pillow, small [5, 7] and
                  what resizing makes of it, 12x9, 3x4 and 20x2 (rows x columns)

The tolerance is that of make_golden.py: 8 times the largest difference between PyTorch in float32 and
in float64, at least four units in the last place of the largest value.
"""
import io
import pathlib
import zipfile

import numpy
import torch
from PIL import Image
from torch import nn

HERE = pathlib.Path(__file__).resolve().parent / "masks"
EMBEDDING, WIDTHS = 10, (8, 7, 6, 5, 4)  # genuine: 512; 128, 128, 64, 32, 16


class ResBlock(nn.Module):
    def __init__(self, C):
        super().__init__()
        self.net = nn.Sequential(nn.Conv2d(C, C, 3, padding=1), nn.ReLU(),
                                 nn.Conv2d(C, C, 3, padding=1), nn.ReLU(), nn.Conv2d(C, C, 1))

    def forward(self, x):
        return x + self.net(x)


def decoder():
    """The numbers of its layers are the names in the file."""
    C = WIDTHS[0]
    layers = [nn.Conv2d(EMBEDDING, C, 1), nn.ReLU(), ResBlock(C), ResBlock(C)]
    for narrow, wide in zip(WIDTHS, WIDTHS[1:]):
        layers += [nn.ConvTranspose2d(narrow, wide, 4, stride=2, padding=1), nn.ReLU()]
    return nn.Sequential(*layers, nn.Conv2d(WIDTHS[-1], 1, 1))


def save(name, arrays, compression):
    """As numpy.savez does, but without the time of day."""
    with zipfile.ZipFile(HERE / name, "w", compression) as archive:
        for key, array in arrays.items():
            file = io.BytesIO()
            numpy.save(file, numpy.asarray(array, order="C"))
            archive.writestr(zipfile.ZipInfo(key + ".npy"), file.getvalue(), compression)


def main():
    HERE.mkdir(exist_ok=True)
    torch.manual_seed(0)
    torch.set_num_threads(1)
    network = decoder()
    with torch.no_grad():
        for name, tensor in network.named_parameters():
            # Signals of both signs that neither vanish nor grow.
            inputs = tensor[0].numel() if tensor.dim() > 1 else 1
            if isinstance(network[int(name.split(".")[0])], nn.ConvTranspose2d):
                inputs = tensor.shape[0] * 4
            tensor.normal_(std=(1.5 / inputs) ** 0.5 if tensor.dim() > 1 else 0.2)
    codebook = torch.randn(128, EMBEDDING)
    codes = torch.randint(128, (3, 16))
    x = codebook[codes].reshape(3, 4, 4, EMBEDDING).permute(0, 3, 1, 2)
    with torch.no_grad():
        network[-1].bias -= network(x).median()  # half of each mask, more or less
    encoder = {"encoder.0.weight": torch.randn(3, 1, 4, 4), "encoder.0.bias": torch.randn(3)}
    save("vae-oid.npz", {"_vq_vae._embedding": codebook.numpy(),
                         **{f"decoder.{k}": v.numpy() for k, v in network.state_dict().items()},
                         **{k: v.numpy() for k, v in encoder.items()}}, zipfile.ZIP_STORED)

    with torch.no_grad():
        values = network(x)[:, 0].numpy()
        exact = network.double()(x.double())[:, 0].numpy()
    largest = numpy.abs(exact).max()
    tolerance = max(8 * numpy.abs(values - exact).max(), 4 * largest * 2**-23)
    print(f"values from {values.min():.2f} to {values.max():.2f}, {(values > 0).mean():.0%} above 0, "
          f"tolerance {tolerance:.1e}")

    small = numpy.random.default_rng(0).uniform(-1, 1, (5, 7)).astype(numpy.float32)
    resized = {f"{H}x{W}": numpy.asarray(Image.fromarray(small).resize((W, H), Image.BILINEAR))
               for H, W in ((12, 9), (3, 4), (20, 2))}
    save("golden.npz", {"codes": codes.numpy().astype(numpy.float32), "values": values,
                        "tolerance": numpy.float64(tolerance), "small": small, **resized},
         zipfile.ZIP_DEFLATED)


if __name__ == "__main__":
    main()
