"""Pages about one example on its way through a trained model, one file for each kind of model: `tinytx.pipelines.explain`."""

from tinytx.pipelines.pages.both_ways import BothWays
from tinytx.pipelines.pages.copying import Copying
from tinytx.pipelines.pages.explanation import Explanation
from tinytx.pipelines.pages.pointing import Pointing

__all__ = ["BothWays", "Copying", "Explanation", "Pointing"]
