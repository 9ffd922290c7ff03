"""How torch computes while slsim trains, and afterwards."""

from contextlib import suppress

import pytest
import torch

from slsim.learning.transfer import called
from slsim.threads import computing_with


@pytest.mark.parametrize("shortened", [True, False])
def test_threads_and_all_of_float32_within_and_as_before_afterwards(
    shortened: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    cudnn, threads = torch.backends.cudnn, torch.get_num_threads()
    monkeypatch.setattr(cudnn, "allow_tf32", shortened)
    with suppress(KeyError), computing_with(threads + 1):
        assert torch.get_num_threads() == threads + 1
        assert not cudnn.allow_tf32
        raise KeyError
    assert torch.get_num_threads() == threads
    assert cudnn.allow_tf32 == shortened


def test_a_gpu_is_called_by_its_model_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"model {device.index}")
    assert called(torch.device("cpu")) == "cpu"
    assert called(torch.device("cuda", 1)) == "cuda (model 1)"
