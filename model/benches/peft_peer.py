"""PEFT's side of the benchmark `train`: SHAPE BASE BATCH TOKENS WARM UPDATES; prints the seconds of the timed updates.

SHAPE is one of those below, with random weights. BASE is `nf4` (bitsandbytes' double-quantized NF4, activations computed
again in the backward pass) or `bf16` (not quantized, activations kept). LoRA of rank 16 on all seven layers, autocast to
BF16, scaled-dot-product attention, fused AdamW, clipping, the last three tenths of the tokens learned.
Needs `pip install torch transformers peft bitsandbytes`.
"""

import sys
import time

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, LlamaConfig, MistralConfig, Qwen2Config

SHAPES = {
    "mistral-7b": lambda: MistralConfig(
        vocab_size=32768, hidden_size=4096, intermediate_size=14336, num_hidden_layers=32, num_attention_heads=32,
        num_key_value_heads=8, rope_theta=1e6, sliding_window=None, max_position_embeddings=32768,
    ),
    "qwen2.5-coder-0.5b": lambda: Qwen2Config(
        vocab_size=151936, hidden_size=896, intermediate_size=4864, num_hidden_layers=24, num_attention_heads=14,
        num_key_value_heads=2, tie_word_embeddings=True, rope_theta=1e6,
    ),
    "smollm2-135m": lambda: LlamaConfig(
        vocab_size=49152, hidden_size=576, intermediate_size=1536, num_hidden_layers=30, num_attention_heads=9,
        num_key_value_heads=3, tie_word_embeddings=True, rope_theta=1e5,
    ),
}
TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def base_model(shape: str, base: str) -> torch.nn.Module:
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(SHAPES[shape](), dtype=torch.bfloat16, attn_implementation="sdpa")
    if base == "nf4":
        import bitsandbytes as bnb

        for name, module in list(model.named_modules()):
            if not isinstance(module, torch.nn.Linear) or name == "lm_head":
                continue
            linear = bnb.nn.Linear4bit(
                module.in_features, module.out_features, bias=module.bias is not None, compute_dtype=torch.bfloat16,
                compress_statistics=True, quant_type="nf4", device="meta",
            )
            # A matrix at a time, so that the peak is the training's.
            weight = torch.randn(module.weight.shape, device="cuda", dtype=torch.bfloat16) * 0.02
            linear.weight = bnb.nn.Params4bit(
                weight, requires_grad=False, compress_statistics=True, quant_type="nf4", module=linear
            ).to("cuda")
            if module.bias is not None:
                linear.bias = torch.nn.Parameter(torch.zeros(module.out_features, device="cuda", dtype=torch.bfloat16))
            parent, _, child = name.rpartition(".")
            setattr(model.get_submodule(parent), child, linear)
            del weight
    for name, parameter in list(model.named_parameters()):
        if parameter.is_meta:
            parent, _, child = name.rpartition(".")
            values = torch.ones if parameter.dim() == 1 else torch.randn
            value = values(parameter.shape, device="cuda", dtype=torch.bfloat16) * (1.0 if parameter.dim() == 1 else 0.02)
            setattr(model.get_submodule(parent), child, torch.nn.Parameter(value, requires_grad=False))
    rotary = type(model.model.rotary_emb)
    model.model.rotary_emb = rotary(model.config).to("cuda")
    model.tie_weights()
    torch.cuda.empty_cache()
    return model


def main() -> None:
    shape, base = sys.argv[1:3]
    batch, tokens, warm, updates = map(int, sys.argv[3:7])
    torch.manual_seed(1)
    model = base_model(shape, base)
    if base == "nf4":
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        model.enable_input_require_grads()
    model.config.use_cache = False
    config = LoraConfig(r=16, lora_alpha=32, lora_dropout=0.0, target_modules=TARGETS, task_type="CAUSAL_LM")
    model = get_peft_model(model, config)
    model.train()
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=2e-4, weight_decay=0.0, fused=True)
    ids = torch.randint(0, model.config.vocab_size, (batch, tokens), device="cuda")
    labels = ids.clone()
    labels[:, : tokens * 7 // 10] = -100

    def update() -> None:
        with torch.autocast("cuda", dtype=torch.bfloat16):
            loss = model(input_ids=ids, labels=labels).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 0.3)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    for _ in range(warm):
        update()
    torch.cuda.synchronize()
    start = time.perf_counter()
    for _ in range(updates):
        update()
    torch.cuda.synchronize()
    print(time.perf_counter() - start)
    gib = 1 << 30
    allocated, reserved = torch.cuda.max_memory_allocated() / gib, torch.cuda.max_memory_reserved() / gib
    print(f"{sum(p.numel() for p in trained)} trained; {allocated:.2f} GiB allocated, {reserved:.2f} reserved", file=sys.stderr)


if __name__ == "__main__":
    main()
