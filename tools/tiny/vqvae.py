"""The VQ-VAE of the mask tokens: 16 codes of 128 for a mask of 64 x 64.

The graph is that of big_vision's vae-oid.npz (its names, PyTorch's layouts), at a fraction of its
width. The exported file holds codebook, decoder and encoder. The codebook follows the encoder by
moving averages, and codes that nobody uses move to where masks are (Razavi et al. 2019,
arXiv 1906.00446, appendix A.1).
"""
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

CODES, CODE = 128, 32  # how many, how wide
WIDTH = 24
DECODER = (24, 16, 8, 4)  # channels after each doubling
ENCODER = (8, 16, 24, 24)  # after each halving


class ResBlock(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, width, 3, padding=1), nn.ReLU(),
            nn.Conv2d(width, width, 1))

    def forward(self, x):
        return x + self.net(x)


def encoder():
    layers, width = [], 1
    for channels in ENCODER:
        layers += [nn.Conv2d(width, channels, 4, stride=2, padding=1), nn.ReLU()]
        width = channels
    return nn.Sequential(*layers, ResBlock(width), ResBlock(width), nn.Conv2d(width, CODE, 1))


def decoder():
    layers, width = [nn.Conv2d(CODE, WIDTH, 1), nn.ReLU(), ResBlock(WIDTH), ResBlock(WIDTH)], WIDTH
    for channels in DECODER:
        layers += [nn.ConvTranspose2d(width, channels, 4, stride=2, padding=1), nn.ReLU()]
        width = channels
    return nn.Sequential(*layers, nn.Conv2d(width, 1, 1))


class VqVae(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder, self.decoder = encoder(), decoder()
        self.register_buffer("embedding", torch.randn(CODES, CODE))
        self.register_buffer("counts", torch.ones(CODES))  # moving averages: how often each code is used,
        self.register_buffer("sums", self.embedding.clone())  # and the sum of what it stands for

    def distances(self, z):
        """z [..., CODE] -> squared distances [..., CODES] from the codes, less |z|^2."""
        return self.embedding.square().sum(1) - 2 * z @ self.embedding.T

    def nearest(self, z):
        """z [..., CODE] -> codes [...]."""
        return self.distances(z).argmin(-1)

    def encode(self, masks):
        """[n, 64, 64] in [-1, 1] -> z [n, 16, CODE], row by row."""
        return self.encoder(masks[:, None]).flatten(2).transpose(1, 2)

    def decode(self, z):
        return self.decoder(z.transpose(1, 2).unflatten(2, (4, 4)))[:, 0]

    @torch.no_grad()
    def codes(self, masks):
        """uint8 [n, 64, 64] -> codes [n, 16]."""
        return self.nearest(self.encode(as_target(torch.as_tensor(masks))))

    @torch.no_grad()
    def masks(self, codes):
        """codes [n, 16] -> bool [n, 64, 64]."""
        return self.decode(self.embedding[codes]) > 0

    @torch.no_grad()
    def begin(self, masks):
        """Puts the codes where the encoder puts some masks."""
        z = self.encode(masks).flatten(0, 1)
        self.embedding.copy_(z[torch.randperm(len(z))[:CODES]])
        self.sums.copy_(self.embedding)

    def loss(self, masks, quantise=True):
        z = self.encode(masks)
        codes = self.nearest(z)
        if not quantise:
            return F.mse_loss(self.decode(z), masks), codes
        quantised = self.embedding[codes]
        if self.training:
            self.follow(z.detach().flatten(0, 1), codes.flatten())
        out = self.decode(z + (quantised - z).detach())  # straight through
        return F.mse_loss(out, masks) + 0.25 * F.mse_loss(z, quantised.detach()), codes

    def soft_loss(self, masks, temperature):
        """Each z stands for a mean of all codes, weighted by how near they are: the nearest alone, once it is cold."""
        z = self.encode(masks)
        mean = torch.softmax(-self.distances(z) / temperature, -1) @ self.embedding
        return F.mse_loss(self.decode(mean), masks) + 0.05 * F.mse_loss(z, mean.detach())

    @torch.no_grad()
    def begin_encoder(self):
        """An encoder whose answers lie where the codes are, about as far apart."""
        self.encoder = encoder()
        last = self.encoder[-1]
        last.bias.copy_(self.embedding.mean(0))
        last.weight.mul_(3 * self.embedding.std(0)[:, None, None, None])

    @torch.no_grad()
    def follow(self, z, codes, decay=0.99, dead=0.5):
        used = torch.zeros(CODES).index_add_(0, codes, torch.ones(len(codes)))
        self.counts.lerp_(used, 1 - decay)
        self.sums.lerp_(torch.zeros(CODES, CODE).index_add_(0, codes, z), 1 - decay)
        self.embedding.copy_(self.sums / self.counts.clamp(min=1e-3)[:, None])
        lost = (self.counts < dead).nonzero()[:, 0]
        if len(lost):
            self.embedding[lost] = z[torch.randint(len(z), (len(lost),))]
            self.counts[lost] = 1
            self.sums[lost] = self.embedding[lost]


def as_target(masks):
    """0 to 255 -> -1 to 1."""
    return masks.float() / 127.5 - 1


def overlap(a, b):
    """IoU of each pair of bool masks [n, 64, 64]."""
    return (a & b).sum((1, 2)) / (a | b).sum((1, 2)).clamp(min=1)


def export(model, path):
    arrays = {"_vq_vae._embedding": model.embedding}
    for part in ("decoder", "encoder"):
        arrays |= {f"{part}.{name}": value for name, value in getattr(model, part).state_dict().items()}
    np.savez(path, **{name: value.detach().float().numpy() for name, value in arrays.items()})


def load(path):
    """An exported file; one without an encoder leaves the model its new one."""
    model = VqVae()
    with np.load(path) as arrays:
        parts = {name.replace("_vq_vae._embedding", "embedding"): torch.from_numpy(arrays[name]) for name in arrays}
    model.load_state_dict(parts, strict=False)
    return model.eval()
