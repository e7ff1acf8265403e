"""transformers' image processor of ViT, and its model: the same pixels and the same logits, of pictures of any size."""

import numpy as np
import pytest

pytestmark = pytest.mark.oracle
torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
Image = pytest.importorskip("PIL.Image")
processing = pytest.importorskip("transformers.models.vit.image_processing_pil_vit")

from tinytx.pipelines import ImageClassifier, load_run, pipeline  # noqa: E402

SIZE = {"height": 8, "width": 8}
PROCESSORS = [
    {"image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.3, 0.4]},
    {"resample": 3, "do_normalize": False},
    {"resample": 1, "do_rescale": False, "image_mean": [120.0] * 3, "image_std": [60.0] * 3},
    {"resample": 0, "rescale_factor": 1 / 128},
]


@pytest.mark.parametrize("settings", PROCESSORS)
@pytest.mark.parametrize("shape", [(8, 8, 3), (31, 17, 3), (5, 6, 3)])
def test_pixels_and_logits(settings, shape, tmp_path):
    """Catches another filter, height and width exchanged, channels first, and the mean of the library's defaults."""
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    config = transformers.ViTConfig(image_size=8, patch_size=4, num_labels=4, initializer_range=0.3, **sizes)
    model, processor = transformers.ViTForImageClassification(config).eval(), processing.ViTImageProcessorPil(size=SIZE, **settings)
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8))
    theirs = processor(picture, return_tensors="pt")["pixel_values"]
    ours = load_run(tmp_path, ImageClassifier)
    np.testing.assert_allclose(ours.read(picture).transpose(2, 0, 1), theirs[0].numpy(), rtol=1e-5, atol=1e-5)
    with torch.no_grad():
        p = torch.softmax(model(theirs).logits[0], -1).numpy()
    said = {answer["label"]: answer["score"] for answer in pipeline("image-classification", ours)(picture)}
    np.testing.assert_allclose([said[config.id2label[i]] for i in range(4)], p, rtol=0, atol=1e-5)
