"""SiameseIM's pre-training step in PyTorch: the peer that gemel's step is measured beside.

Written from the published description of the method: an online branch sees the visible patches of
view 1 and predicts the features that a slowly following target branch gives view 2, for every patch
of view 2, told by its position relative to view 1. Everything is functions over dictionaries of
tensors, named as in the authors' checkpoints, so that a block is compiled once for all of its kind.

Sizes: B images, N = (image / patch)^2 patches, V visible ones, D width of the encoder, E of the
decoder. Tokens are [B, T, C], row by row over the grid.
"""
import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F

LN_EPS = 1e-6  # of the encoder; PyTorch's default, 1e-5, is BatchNorm's and the target's
BN_EPS = 1e-5
BN_MOMENTUM = 0.1
BETAS = (0.9, 0.95)
WEIGHT_DECAY = 0.05
CLIP = 1.0
BLOCK_NAMES = ("norm1.weight", "norm1.bias", "attn.qkv.weight", "attn.qkv.bias", "attn.proj.weight",
               "attn.proj.bias", "norm2.weight", "norm2.bias", "mlp.fc1.weight", "mlp.fc1.bias",
               "mlp.fc2.weight", "mlp.fc2.bias")


@dataclass(frozen=True)
class Config:
    """The default is the paper's final setting, ViT-B/16."""
    image: int = 224
    patch: int = 16
    width: int = 768
    depth: int = 12
    heads: int = 12
    decoder_width: int = 768
    decoder_heads: int = 16
    projector_depth: int = 2
    predictor_depth: int = 4
    masked: int = 118
    negative_weight: float = 0.02

    @property
    def grid(self) -> int:
        return self.image // self.patch


VIT_B = Config()
VIT_S = Config(width=384, heads=6)
TINY = Config(image=32, patch=8, width=24, depth=2, heads=3, decoder_width=16, decoder_heads=4,
              projector_depth=2, predictor_depth=2, masked=9)
FLOP_PER_IMAGE = 141.3e9  # of VIT_B, both views, forward and backward, 2 per multiply-add


# ---- parameters ----------------------------------------------------------------------------------

def block_shapes(prefix: str, width: int, batch_norm: bool) -> dict[str, tuple]:
    """The tensors of a block, in the order of BLOCK_NAMES."""
    sizes = {"norm1": (width,), "norm2": (width,), "attn.qkv": (3 * width, width),
             "attn.proj": (width, width), "mlp.fc1": (4 * width, width),
             "mlp.fc2": (width, 4 * width)}
    shapes = {}
    for name in BLOCK_NAMES:
        layer, kind = name.rsplit(".", 1)
        stored = f"{layer}.bn.{kind}" if batch_norm and layer.startswith("norm") else name
        shapes[prefix + stored] = sizes[layer] if kind == "weight" else sizes[layer][:1]
    return shapes


def linear_shapes(name: str, out: int, inputs: int) -> dict[str, tuple]:
    return {f"{name}.weight": (out, inputs), f"{name}.bias": (out,)}


def branch_shapes(cfg: Config, prefix: str) -> tuple[dict, dict]:
    """The encoder with its embedding, and the projector: what both branches have."""
    encoder = {f"{prefix}patch_embed.proj.weight": (cfg.width, 3, cfg.patch, cfg.patch),
               f"{prefix}patch_embed.proj.bias": (cfg.width,)}
    for i in range(cfg.depth):
        encoder |= block_shapes(f"{prefix}blocks.{i}.", cfg.width, False)
    encoder |= linear_shapes(f"{prefix}decoder_embed", cfg.decoder_width, cfg.width)
    projector = {}
    for i in range(cfg.projector_depth):
        projector |= block_shapes(f"{prefix}projector_decoder_blocks.{i}.", cfg.decoder_width, True)
    return encoder, projector


def parameter_shapes(cfg: Config) -> dict[str, tuple]:
    """All parameters but the two fixed tables, in the checkpoints' order."""
    d, e = cfg.width, cfg.decoder_width
    shapes = {"cls_token": (1, 1, d), "mask_token": (1, 1, e), "mm_cls_token": (1, 1, d),
              "mm_mask_token": (1, 1, e)}
    encoder, projector = branch_shapes(cfg, "")
    shapes |= encoder | projector
    for i in range(cfg.predictor_depth):
        shapes |= block_shapes(f"predictor_decoder_blocks.{i}.", e, True)
    shapes |= linear_shapes("decoder_pred", e, e) | linear_shapes("decoder_pos_mlp", e, 2 * e)
    encoder, projector = branch_shapes(cfg, "mm_")
    return shapes | encoder | projector


def is_trained(name: str) -> bool:
    """The target follows by averaging, and the patch embedding stays as it was drawn."""
    return not name.startswith("mm_") and not name.startswith("patch_embed.")


def is_decayed(name: str, tensor: torch.Tensor) -> bool:
    return tensor.ndim > 1 and not name.endswith(".bias")


def draw_parameters(cfg: Config, device, dtype=torch.float32, seed: int = 0) -> dict:
    """Xavier-uniform matrices, tokens N(0, 0.02^2); the target begins as a copy."""
    generator = torch.Generator(device=device).manual_seed(seed)

    def uniform(shape, bound):
        tensor = torch.empty(shape, device=device, dtype=dtype)
        return tensor.uniform_(-bound, bound, generator=generator)

    parameters = {}
    for name, shape in parameter_shapes(cfg).items():
        if name.startswith("mm_"):
            parameters[name] = parameters[name[3:]].detach().clone()
        elif name.endswith("token"):
            parameters[name] = torch.empty(shape, device=device, dtype=dtype).normal_(
                0, 0.02, generator=generator)
        elif len(shape) > 1:
            inputs = math.prod(shape[1:])
            parameters[name] = uniform(shape, math.sqrt(6 / (shape[0] + inputs)))
        elif name == "patch_embed.proj.bias":
            parameters[name] = uniform(shape, 1 / math.sqrt(3 * cfg.patch**2))
        else:
            is_scale = "norm" in name and name.endswith("weight")
            parameters[name] = torch.full(shape, float(is_scale), device=device, dtype=dtype)
        parameters[name].requires_grad_(is_trained(name))
    return parameters


def make_buffers(cfg: Config, device, dtype=torch.float32) -> dict:
    """Running statistics of every BatchNorm: kept as the method does, used by nobody."""
    buffers = {}
    for name in parameter_shapes(cfg):
        if name.endswith(".bn.weight"):
            layer = name.removesuffix("weight")
            buffers[layer + "running_mean"] = torch.zeros(cfg.decoder_width, device=device,
                                                          dtype=dtype)
            buffers[layer + "running_var"] = torch.ones(cfg.decoder_width, device=device,
                                                        dtype=dtype)
    return buffers


# ---- positions -----------------------------------------------------------------------------------

def frequencies(width: int, device, dtype) -> torch.Tensor:
    n = width // 4
    return 10000.0 ** (-torch.arange(n, device=device, dtype=dtype) / n)


def waves(coordinate: torch.Tensor, omega: torch.Tensor) -> torch.Tensor:
    """[...] -> [..., 2n]: sines, then cosines."""
    angle = coordinate[..., None] * omega
    return torch.cat([angle.sin(), angle.cos()], -1)


def grid_table(grid: int, width: int, device, dtype) -> torch.Tensor:
    """[1 + N, width]: zeros for the class token, then rows before columns."""
    omega = frequencies(width, device, torch.float64)
    line = torch.arange(grid, device=device, dtype=torch.float64)
    rows = waves(line, omega)[:, None].expand(grid, grid, -1)
    columns = waves(line, omega)[None, :].expand(grid, grid, -1)
    table = torch.cat([rows, columns], -1).reshape(grid * grid, width)
    return torch.cat([torch.zeros_like(table[:1]), table]).to(dtype)


def relative_positions(cfg: Config, geometry: dict) -> torch.Tensor:
    """[B, N, 2E]: where each patch of view 2 lies in view 1's frame, and how much larger it is."""
    g, e = cfg.grid, cfg.decoder_width
    di, dj, dh, dw, flip, fj = (geometry[k][:, None, None] for k in
                                ("di", "dj", "dh", "dw", "flip", "fj"))
    omega = frequencies(e, di.device, di.dtype)
    centre = torch.arange(g, device=di.device, dtype=di.dtype) + 0.5
    y = dh * centre[None, :, None] + g * di - 0.5
    x = torch.where(flip > 0, -dw * centre[None, None, :] + g * fj,
                    dw * centre[None, None, :] + g * dj) - 0.5
    scales = [10 * torch.log(dh), 10 * torch.log(dw)]
    parts = [waves(value.expand(-1, g, g), omega) for value in [y, x] + scales]
    return torch.cat(parts, -1).reshape(-1, g * g, 2 * e)


# ---- the network ---------------------------------------------------------------------------------

def normalise(x, weight, bias, running):
    """LayerNorm, or BatchNorm over all tokens of the batch when there are running statistics."""
    if running is None:
        return F.layer_norm(x, x.shape[-1:], weight, bias, LN_EPS)
    mean, variance = running
    rows = x.reshape(-1, x.shape[-1])
    return F.batch_norm(rows, mean, variance, weight, bias, True, BN_MOMENTUM, BN_EPS).view(x.shape)


def attention(x, w_qkv, b_qkv, w_out, b_out, heads: int):
    b, t, c = x.shape
    q, k, v = F.linear(x, w_qkv, b_qkv).view(b, t, 3, heads, c // heads).permute(2, 0, 3, 1, 4)
    y = F.scaled_dot_product_attention(q, k, v)
    return F.linear(y.transpose(1, 2).reshape(b, t, c), w_out, b_out)


def apply_blocks(x, blocks: list, heads: int):
    """Pre-norm transformer blocks, each a list of tensors as BLOCK_NAMES and the running statistics
    of its two norms, None for LayerNorm."""
    for p, running1, running2 in blocks:
        y = normalise(x, p[0], p[1], running1)
        x = x + attention(y, *p[2:6], heads)
        y = normalise(x, p[6], p[7], running2)
        x = x + F.linear(F.gelu(F.linear(y, p[8], p[9])), p[10], p[11])
    return x


def block_tensors(parameters: dict, buffers: dict, prefix: str) -> tuple:
    if prefix + "norm1.weight" in parameters:
        return [parameters[prefix + name] for name in BLOCK_NAMES], None, None
    tensors = [parameters[prefix + name.replace("norm1.", "norm1.bn.").replace("norm2.", "norm2.bn.")]
               for name in BLOCK_NAMES]
    running = [tuple(buffers[f"{prefix}{norm}.bn.running_{kind}"] for kind in ("mean", "var"))
               for norm in ("norm1", "norm2")]
    return tensors, *running


class Model:
    """Parameters, buffers and tables, and the two forward passes. `blocks_fn` is apply_blocks,
    possibly compiled, and gets `region` blocks a call."""

    def __init__(self, cfg: Config, parameters: dict, buffers: dict, blocks_fn=apply_blocks,
                 loss_fn=None, region: int = 2):
        self.cfg, self.parameters, self.buffers = cfg, parameters, buffers
        self.blocks_fn, self.region = blocks_fn, region
        self.loss_fn = loss_fn or loss
        some = parameters["cls_token"]
        self.encoder_table = grid_table(cfg.grid, cfg.width, some.device, some.dtype)
        self.decoder_table = grid_table(cfg.grid, cfg.decoder_width, some.device, some.dtype)

    def blocks(self, x, prefix: str, depth: int, heads: int):
        blocks = [block_tensors(self.parameters, self.buffers, f"{prefix}{i}.") for i in range(depth)]
        for i in range(0, depth, self.region):
            x = self.blocks_fn(x, blocks[i:i + self.region], heads)
        return x

    def linear(self, x, name: str):
        return F.linear(x, self.parameters[name + ".weight"], self.parameters[name + ".bias"])

    def patches(self, x):
        """[B, 3, S, S] -> [B, N, 3 p p]: channel, then row, then column of a patch's pixels."""
        b, g, p = x.shape[0], self.cfg.grid, self.cfg.patch
        return x.view(b, 3, g, p, g, p).permute(0, 2, 4, 1, 3, 5).reshape(b, g * g, 3 * p * p)

    def encode(self, x, visible, prefix: str):
        """Class token and patches, or the visible ones by their numbers [B, V], through the encoder,
        decoder_embed and the projector."""
        cfg, p = self.cfg, self.parameters
        patches, positions = self.patches(x), self.encoder_table[1:]
        if visible is not None:
            patches = patches.gather(1, visible[..., None].expand(-1, -1, patches.shape[-1]))
            positions = positions[visible]
        weight = p[prefix + "patch_embed.proj.weight"].flatten(1)
        tokens = F.linear(patches, weight, p[prefix + "patch_embed.proj.bias"]) + positions
        cls = p[prefix + "cls_token"].expand(tokens.shape[0], -1, -1)
        tokens = torch.cat([cls, tokens.to(cls.dtype)], 1)
        tokens = self.blocks(tokens, prefix + "blocks.", cfg.depth, cfg.heads)
        # the sums over blocks stay in single precision, also where autocast made this a half
        tokens = self.linear(tokens, prefix + "decoder_embed").to(cls.dtype)
        return self.blocks(tokens, prefix + "projector_decoder_blocks.", cfg.projector_depth,
                           cfg.decoder_heads)

    def online(self, x1, visible, relative):
        """[B, N, E] predicted features of view 2."""
        cfg, p = self.cfg, self.parameters
        seen = self.encode(x1, visible, "")
        seen = torch.cat([seen[:, :1], seen[:, 1:] + self.decoder_table[1:][visible]], 1)
        queries = (p["mask_token"] + self.linear(relative, "decoder_pos_mlp")).to(seen.dtype)
        tokens = self.blocks(torch.cat([seen, queries], 1), "predictor_decoder_blocks.",
                             cfg.predictor_depth, cfg.decoder_heads)
        return self.linear(tokens[:, -cfg.grid**2:], "decoder_pred")

    @torch.no_grad()
    def target(self, x2):
        """[B, N, E] features of view 2, before they are normalised."""
        return self.encode(x2, None, "mm_")[:, 1:]

    @torch.no_grad()
    def follow(self, momentum: float):
        """The target goes towards the online parameters. Frozen ones it has already."""
        names = [n for n in self.parameters if n.startswith("mm_") and is_trained(n[3:])]
        torch._foreach_lerp_([self.parameters[n] for n in names],
                             [self.parameters[n[3:]] for n in names], 1 - momentum)

    def forward(self, batch: dict, momentum=None):
        with torch.autocast(batch["x1"].device.type, enabled=False):
            relative = relative_positions(self.cfg, batch)
        prediction = self.online(batch["x1"], batch["visible"], relative)
        if momentum is not None:
            self.follow(momentum)
        target = self.target(batch["x2"])
        with torch.autocast(batch["x1"].device.type, enabled=False):
            return self.loss_fn(prediction, target, self.cfg.negative_weight), prediction, target


def loss(prediction, target, negative_weight: float):
    """UniGrad with mean negatives: (|p - t|^2 + w p' C p) / E averaged over tokens, C = T'T / n.

    The n x n matrix P C P' is never formed: its diagonal is the row sums of (P C) o P. P C is
    constant to autograd, and 2 P - P has P's value and twice its gradient: C is symmetric, so
    the gradient needs no product of its own.
    """
    e = target.shape[-1]
    kind = torch.promote_types(target.dtype, torch.float32)
    p = prediction.reshape(-1, e).to(kind)
    with torch.no_grad():
        t = F.layer_norm(target.reshape(-1, e).to(kind), (e,), eps=1e-5)
        q = p @ (t.T @ t / t.shape[0])
    positive = (p - t).square().sum(-1).mean()
    negative = (q * (2 * p - p.detach())).sum(-1).mean()
    return (positive + negative_weight * negative) / e


# ---- the step ------------------------------------------------------------------------------------

def learning_rate(epoch: float, epochs: int, peak: float = 1e-3, warmup: int = 40) -> float:
    """`epoch` counts fractions: epoch + iteration / iterations an epoch. The first step has 0."""
    if epoch < warmup:
        return peak * epoch / warmup
    return peak / 2 * (1 + math.cos(math.pi * (epoch - warmup) / (epochs - warmup)))


def ema_momentum(epoch: float, epochs: int, start: float = 0.995) -> float:
    return 1 - (1 - start) / 2 * (1 + math.cos(math.pi * epoch / epochs))


def make_optimizer(parameters: dict, lr: float, **kind) -> torch.optim.AdamW:
    """`kind` chooses the implementation: fused, foreach, capturable."""
    trained = {n: p for n, p in parameters.items() if is_trained(n)}
    groups = [{"params": [p for n, p in trained.items() if is_decayed(n, p) == decayed],
               "weight_decay": WEIGHT_DECAY if decayed else 0.0} for decayed in (False, True)]
    return torch.optim.AdamW(groups, lr=lr, betas=BETAS, eps=1e-8, **kind)


def step(model: Model, optimizer, batch: dict, momentum: float, autocast: bool):
    """Forward, target, loss, backward, clip, update. Returns the loss, on the device."""
    optimizer.zero_grad(set_to_none=True)
    with torch.autocast(batch["x1"].device.type, torch.bfloat16, enabled=autocast):
        value, _, _ = model.forward(batch, momentum)
    value.backward()
    trained = [p for group in optimizer.param_groups for p in group["params"]]
    torch.nn.utils.clip_grad_norm_(trained, CLIP, foreach=True)
    optimizer.step()
    return value.detach()


def random_batch(cfg: Config, size: int, device, seed: int) -> dict:
    """Normal pixels, masks of exactly cfg.masked patches, random crops of 375 x 500 images."""
    generator = torch.Generator(device=device).manual_seed(seed)

    def uniform(low, high):
        return torch.empty(size, device=device).uniform_(low, high, generator=generator)

    image = (size, 3, cfg.image, cfg.image)
    order = torch.rand(size, cfg.grid**2, device=device, generator=generator).argsort(1)
    h1, w1, h2, w2 = (uniform(110, 375) for _ in range(4))
    i1, j1, i2, j2 = uniform(0, 1) * (375 - h1), uniform(0, 1) * (500 - w1), \
        uniform(0, 1) * (375 - h2), uniform(0, 1) * (500 - w2)
    return {
        "x1": torch.randn(image, device=device, generator=generator),
        "x2": torch.randn(image, device=device, generator=generator),
        "visible": order[:, cfg.masked:].sort(1).values,
        "di": (i2 - i1) / h1, "dj": (j2 - j1) / w1, "dh": h2 / h1, "dw": w2 / w1,
        "flip": (uniform(0, 1) < 0.5).float(), "fj": (500 - j1 - j2) / w1,
    }
