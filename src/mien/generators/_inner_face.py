"""Principal components of the inner face that a VAE's convolutions would miss.

A few epochs teach convolutions where eyes and mouths belong, not whose they
are: photos with glasses came back without. The components are fitted in closed
form (train/_vae_inner.py) to what decoded photos lack, from brows to chin at
half size. A face's part along them is carried by latents of its own, less what
the other latents predict of it, so that the two do not say the same twice.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

TOP, BOTTOM, LEFT, RIGHT = 5, 13, 4, 12  # sixteenths of the size: brows to chin
EDGE = 0.25  # power of the window that fades the components out at its edges


class InnerFace(nn.Module):
    """`count` components; all zero, thus without effect, until they are fitted."""

    def __init__(self, size: int, latent: int, count: int) -> None:
        super().__init__()
        self.rows = slice(size * TOP // 16, size * BOTTOM // 16)
        self.columns = slice(size * LEFT // 16, size * RIGHT // 16)
        self.side = size // 4  # of the square window at half size
        line = torch.hann_window(self.side + 2, periodic=False)[1:-1].pow(EDGE)
        self.register_buffer("window", line[:, None] * line[None], persistent=False)
        self.register_buffer("components", torch.zeros(count, 3 * self.side**2))  # orthonormal
        self.register_buffer("slope", torch.zeros(count, latent))
        self.register_buffer("offset", torch.zeros(count))
        self.register_buffer("scale", torch.ones(count))
        self.window: torch.Tensor
        self.components: torch.Tensor
        self.slope: torch.Tensor
        self.offset: torch.Tensor
        self.scale: torch.Tensor

    def cut(self, faces: torch.Tensor) -> torch.Tensor:
        """Faces [N, 3, size, size] -> their inner faces at half size, faded and flat, fp32."""
        inner = F.avg_pool2d(faces.float()[:, :, self.rows, self.columns], 2)
        return (inner * self.window).flatten(1)

    def read(self, faces: torch.Tensor) -> torch.Tensor:
        """Faces -> their coefficients along the components, [N, count]."""
        with torch.autocast(faces.device.type, enabled=False):
            return self.cut(faces) @ self.components.t()

    def expect(self, latent: torch.Tensor) -> torch.Tensor:
        """The other latents [N, D] -> the coefficients they predict, [N, count]."""
        with torch.autocast(latent.device.type, enabled=False):
            return torch.addmm(self.offset, latent.float(), self.slope.t())

    def encode(self, faces: torch.Tensor, latent: torch.Tensor) -> torch.Tensor:
        """Faces and their other latents [N, D] -> the latents of their own, [N, count]."""
        return (self.read(faces) - self.expect(latent)) / self.scale

    def place(self, faces: torch.Tensor, latent: torch.Tensor, own: torch.Tensor) -> torch.Tensor:
        """Faces with the coefficients that both latents say instead of those they have."""
        wanted = self.expect(latent) + own.float() * self.scale
        with torch.autocast(faces.device.type, enabled=False):
            change = (wanted - self.read(faces)) @ self.components
            half = change.view(-1, 3, self.side, self.side)
            inner = F.interpolate(half, scale_factor=2.0, mode="bilinear", align_corners=False)
        out = faces.float().clone()
        out[:, :, self.rows, self.columns] += inner
        return out
