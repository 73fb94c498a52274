"""The built-in model: what is near what, what does not matter, what bounds it."""

from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import wordllama
from hypothesis import given
from hypothesis import strategies as st

from shared.embeddings.embedder import Embedder
from shared.embeddings.models import BUILT_IN, TASKS
from shared.embeddings.provider import Vectors
from shared.embeddings.static_words import MAX_CHARS, static_words
from shared.errors import InvalidInput
from shared.settings import Settings

NAME = BUILT_IN.name
EMBEDDER = Embedder(Settings())


def documents(*texts: str) -> Vectors:
    return EMBEDDER.embed_documents(NAME, texts)


def query(text: str) -> Vectors:
    return EMBEDDER.embed_query(NAME, text)


def test_a_query_is_nearer_to_the_text_about_its_subject() -> None:
    texts = ("Bread is baked from flour, water and yeast.", "The parliament passed a new tax law.")
    assert int(np.argmax(documents(*texts) @ query("how to make dough for loaves"))) == 0
    assert int(np.argmax(documents(*texts) @ query("government legislation"))) == 1


def test_a_vector_is_that_of_the_package_for_the_words_that_say_something(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # where some versions of the package look for their tokenizer only
    (tmp_path / ".cache").mkdir()
    (tmp_path / ".cache" / "wordllama").symlink_to(Path(wordllama.__file__).parent)
    monkeypatch.setenv("HOME", str(tmp_path))
    package = wordllama.WordLlama.load(disable_download=True)
    expected = package.embed(
        ["quick brown fox jumps lazy dog", "naive cafe 42 pneumonoultramicroscopic"], norm=True
    )
    vectors = documents(
        "The quick, brown fox jumps over the lazy dog!", "Naïve café: 42 (pneumonoultramicroscopic)"
    )
    np.testing.assert_allclose(vectors, expected, atol=1e-6)


def test_stop_words_case_accents_and_punctuation_do_not_matter() -> None:
    plain, decorated = documents("cats chase mice", "The CÁTS -- do they chase... the mice?!")
    assert np.array_equal(plain, decorated)


def test_a_text_of_stop_words_or_signs_alone_still_has_a_vector() -> None:
    vectors = documents("to be or not to be", "what is it", "!?", "😀")
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    assert not np.allclose(vectors[0], vectors[1])


def test_a_blank_text_is_all_zeros_beside_others_that_are_not() -> None:
    vectors = documents("", "dog", " \n\t ", "cat")
    assert [bool(row.any()) for row in vectors] == [False, True, False, True]
    assert np.array_equal(vectors[1], query("dog"))
    assert not query("").any()


def test_no_texts_give_no_rows() -> None:
    assert documents().shape == (0, 256)


@given(st.lists(st.text(max_size=60), max_size=8))
def test_each_row_has_unit_length_or_is_zeros_and_stands_for_its_text(texts: list[str]) -> None:
    vectors = documents(*texts)
    assert (vectors.shape, vectors.dtype) == ((len(texts), 256), np.float32)
    norms = np.linalg.norm(vectors, axis=1)
    assert all(norm == 0 or abs(norm - 1) < 1e-5 for norm in norms)
    assert [norm == 0 for norm in norms] == [not text.strip() for text in texts]
    for text, row in zip(texts, vectors, strict=True):
        assert np.array_equal(query(text), row)


@given(st.permutations(["compress", "archive", "bytes", "file", "stream", "buffer"]))
def test_the_order_of_words_does_not_matter(words: list[str]) -> None:
    assert float(query(" ".join(words)) @ query("compress archive bytes file stream buffer")) > 0.99999


@pytest.mark.parametrize("task", TASKS)
def test_every_task_has_the_vector_of_a_document(task: str) -> None:
    assert np.array_equal(EMBEDDER.embed_query(NAME, "dog food", task), documents("dog food")[0])


def test_what_follows_the_first_20_000_characters_is_not_read() -> None:
    head = "dog " * (MAX_CHARS // 4)
    assert np.array_equal(query(head + "parliament " * 100_000), query(head))
    assert not np.array_equal(query(head[:-400] + "parliament " * 100), query(head))


@pytest.mark.parametrize("text", ["漢字" * 50_000, "😀" * 50_000, "x" * 100_000, "- " * 50_000])
def test_a_long_text_without_spaces_between_its_words_is_one_vector_too(text: str) -> None:
    assert abs(float(np.linalg.norm(query(text))) - 1) < 1e-5


def test_only_short_words_are_remembered() -> None:
    remembered = static_words()._known_token_ids.cache_info
    before = remembered().currsize
    documents("x" * 33, "y" * 500, "漢字" * 1000)
    assert remembered().currsize == before
    documents("x" * 32)
    assert remembered().currsize == before + 1
    assert remembered().maxsize == 65_536


def test_threads_share_one_model_and_get_the_same_vectors() -> None:
    texts = [f"document number {number} about subject {number % 7}" for number in range(200)]
    expected = documents(*texts)
    start = threading.Barrier(8, timeout=30)

    def embed(_: int) -> Vectors:
        start.wait()
        return Embedder(Settings()).embed_documents(NAME, texts)

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(embed, range(8)))
    assert all(np.array_equal(result, expected) for result in results)


FIRST_USES = """
import sys, threading
from concurrent.futures import ThreadPoolExecutor
from shared.embeddings import static_words
from shared.embeddings.embedder import Embedder
from shared.embeddings.models import BUILT_IN
from shared.settings import Settings

loads = []
class Counted(static_words.StaticWords):
    def __init__(self, folder):
        loads.append(folder)
        super().__init__(folder)
static_words.StaticWords = Counted

embedders = [Embedder(Settings()) for _ in range(8)]
before, start = len(loads), threading.Barrier(8, timeout=30)
def use(embedder):
    start.wait()
    return embedder.embed_query(BUILT_IN.name, "dog").tobytes()
with ThreadPoolExecutor(8) as pool:
    vectors = set(pool.map(use, embedders))
print(before, len(loads), len(vectors), "wordllama" in sys.modules)
"""


def test_the_files_are_read_once_at_the_first_use_and_the_package_is_not_run() -> None:
    assert _python(FIRST_USES) == "0 1 1 False"


def test_the_models_are_known_without_loading_any() -> None:
    heavy = ["numpy", "httpx", "tokenizers", "safetensors", "wordllama"]
    program = (
        f"import sys, shared.embeddings.models; print([name for name in {heavy} if name in sys.modules])"
    )
    assert _python(program) == "[]"


def test_an_unknown_model_or_task_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InvalidInput, match=f"model: 'gpt' is no embedding model here; use {NAME}$"):
        EMBEDDER.embed_documents("gpt", ["x"])
    with pytest.raises(InvalidInput, match=r"^task: 'search' is not one of retrieval_query, .*none$"):
        EMBEDDER.embed_query(NAME, "x", "search")


def test_half_of_a_surrogate_pair_is_refused_at_its_place() -> None:
    with pytest.raises(InvalidInput) as refused:
        documents("fine", "broken \ud83d")
    assert refused.value.errors[0]["loc"] == ["texts", 1]


def _python(program: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=50, check=True
    )
    return done.stdout.strip()
