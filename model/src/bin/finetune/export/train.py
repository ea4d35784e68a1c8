"""Trains the exported examples with TRL. Written by `finetune export`; `config.yaml` holds what is tuned.

    python train.py                      one GPU
    accelerate launch ... train.py       several: README.md has the lines
"""

import os

from datasets import load_dataset
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import (
    DPOConfig,
    DPOTrainer,
    ModelConfig,
    ScriptArguments,
    SFTConfig,
    SFTTrainer,
    TrlParser,
    get_peft_config,
    get_quantization_config,
)

FOLDER = os.path.dirname(os.path.abspath(__file__))


def main():
    os.chdir(FOLDER)
    data = load_dataset("data")
    preference = "chosen" in data["train"].column_names
    parser = TrlParser((ScriptArguments, DPOConfig if preference else SFTConfig, ModelConfig))
    _, training, model_config = parser.parse_args_and_config(["--config", "config.yaml"])

    tokenizer = AutoTokenizer.from_pretrained(model_config.model_name_or_path)
    if os.path.exists("chat_template.jinja"):
        # The template of the GGUF file, for the prompts to be those that bigquill serves.
        with open("chat_template.jinja", encoding="utf-8") as template:
            tokenizer.chat_template = template.read()

    start = os.path.isdir("start")
    if start:
        from peft import PeftModel

        model = AutoModelForCausalLM.from_pretrained(
            model_config.model_name_or_path,
            dtype=model_config.dtype,
            quantization_config=get_quantization_config(model_config),
        )
        model = PeftModel.from_pretrained(model, "start", is_trainable=True)
        extra = {}
    else:
        model = model_config.model_name_or_path
        training.model_init_kwargs = {"dtype": model_config.dtype}
        extra = {
            "peft_config": get_peft_config(model_config),
            "quantization_config": get_quantization_config(model_config),
        }

    trainer = (DPOTrainer if preference else SFTTrainer)(
        model=model,
        args=training,
        train_dataset=data["train"],
        eval_dataset=data["test"] if training.eval_strategy != "no" else None,
        processing_class=tokenizer,
        **extra,
    )
    trainer.train(resume_from_checkpoint=training.resume_from_checkpoint)
    trainer.save_model(training.output_dir)


if __name__ == "__main__":
    main()
