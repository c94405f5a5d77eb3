"""Models of about one million parameters, made in seconds, for tests and for trying the loop: a Llama that chats, a BERT, a T5.

`python -m training.engine.tiny <directory> [causal|encoder|seq2seq]`. Their weights are random: they can
be trained, they cannot write.
The tokenizers (byte-level BPE, WordPiece) are trained on sentences that this module makes up on the spot.
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


def make_word_pieces(vocabulary: int = 512) -> Any:
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    special = {
        "pad_token": "[PAD]",
        "unk_token": "[UNK]",
        "cls_token": "[CLS]",
        "sep_token": "[SEP]",
        "mask_token": "[MASK]",
    }
    core = Tokenizer(models.WordPiece(unk_token=special["unk_token"]))
    core.normalizer = normalizers.BertNormalizer(lowercase=True)
    core.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    core.decoder = decoders.WordPiece()
    letters = [chr(code) for code in range(33, 127)]
    trainer = trainers.WordPieceTrainer(
        vocab_size=vocabulary, special_tokens=list(special.values()), initial_alphabet=letters, show_progress=False
    )
    core.train_from_iterator(sentences(2000), trainer)
    ids = [(name, core.token_to_id(name)) for name in ("[CLS]", "[SEP]")]
    core.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B [SEP]", special_tokens=ids
    )
    return PreTrainedTokenizerFast(tokenizer_object=core, model_max_length=256, **special)


def make_encoder(tokenizer: Any, seed: int = 0) -> Any:
    import torch
    from transformers import BertConfig, BertModel

    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=96,
        intermediate_size=192,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=256,
        pad_token_id=tokenizer.pad_token_id,
        dtype="float32",
    )
    return BertModel(config)


def make_seq2seq_tokenizer(vocabulary: int = 512) -> Any:
    tokenizer = make_tokenizer(vocabulary)
    tokenizer.chat_template = None
    return tokenizer


def make_seq2seq(tokenizer: Any, seed: int = 0) -> Any:
    import torch
    from transformers import T5Config, T5ForConditionalGeneration

    torch.manual_seed(seed)
    config = T5Config(
        vocab_size=len(tokenizer),
        d_model=96,
        d_kv=24,
        d_ff=192,
        num_layers=2,
        num_heads=4,
        dropout_rate=0.0,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        dtype="float32",
    )
    config.update({"decoder_start_token_id": tokenizer.pad_token_id})
    return T5ForConditionalGeneration(config)


FAMILIES = {
    "causal": (make_tokenizer, make_model),
    "encoder": (make_word_pieces, make_encoder),
    "seq2seq": (make_seq2seq_tokenizer, make_seq2seq),
}


def make(directory: Path, seed: int = 0, family: str = "causal") -> Path:
    """Write model and tokenizer into `directory`; of a chat model its template and generation_config.json too."""
    tokenizer_of, model_of = FAMILIES[family]
    tokenizer = tokenizer_of()
    model = model_of(tokenizer, seed)
    directory.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    return directory


if __name__ == "__main__":
    make(Path(sys.argv[1]), family=sys.argv[2] if len(sys.argv) > 2 else "causal")
