"""A Llama chat model of about one million parameters, made in seconds, for tests and for trying the loop.

`python -m training.engine.tiny <directory>`. Its weights are random: it can be trained, it cannot write.
The tokenizer is a byte-level BPE trained on sentences that this module makes up on the spot.
"""

from __future__ import annotations

import random
import sys
from pathlib import Path
from typing import Any

PAD, BOS, EOS = "<|pad|>", "<|im_start|>", "<|im_end|>"
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
GENERATION = {
    "do_sample": True,
    "temperature": 1.0,
    "top_p": 0.95,
    "max_new_tokens": 256,
}
_SUBJECTS = ["the river", "a lamp", "my neighbour", "the old train", "a kind teacher", "the garden", "a small boat"]
_VERBS = ["carries", "follows", "paints", "remembers", "lifts", "watches", "answers", "forgets", "mends", "greets"]
_OBJECTS = ["bright stones", "a quiet song", "the morning light", "seven letters", "warm bread", "an open door"]
_ENDS = ["before dawn", "with great care", "without a word", "near the harbour", "for the children", "in late summer"]


def sentences(count: int, seed: int = 0) -> list[str]:
    draw = random.Random(seed)  # noqa: S311  sample text, not a secret
    parts = (_SUBJECTS, _VERBS, _OBJECTS, _ENDS)
    return [" ".join(draw.choice(part) for part in parts).capitalize() + "." for _ in range(count)]


def make_tokenizer(vocabulary: int = 512) -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    text = [*sentences(2000), "system", "user", "assistant", "Write one sentence about "]
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[PAD, BOS, EOS],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    core.train_from_iterator(text, trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, pad_token=PAD, bos_token=BOS, eos_token=EOS)
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def make_model(tokenizer: Any, seed: int = 0) -> Any:
    import torch
    from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    ids = {
        "pad_token_id": tokenizer.pad_token_id,
        "eos_token_id": tokenizer.eos_token_id,
    }
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=128,
        intermediate_size=432,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=1024,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        dtype="float32",
        **ids,
    )
    model = LlamaForCausalLM(config)
    model.generation_config = GenerationConfig(**ids, **GENERATION)
    return model


def make(directory: Path, seed: int = 0) -> Path:
    """Write model, tokenizer, chat template and generation_config.json into `directory`."""
    tokenizer = make_tokenizer()
    model = make_model(tokenizer, seed)
    directory.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    return directory


if __name__ == "__main__":
    make(Path(sys.argv[1]))
