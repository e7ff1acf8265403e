"""The pages of recipes: what each learns, the figure to expect, and its settings."""

import html

from tinytx.book.pages import Page
from tinytx.book.prose import inline
from tinytx.models import MODELS
from tinytx.recipes import RECIPES, load_recipe


def recipe_pages():
    """Yield a page for each recipe: what it learns, the figure to expect, and its settings."""
    for name in RECIPES:
        recipe, facts = load_recipe(name), {}
        facts["model"], facts["paper"], facts["learns"] = recipe.system, recipe.paper, recipe.learns
        if recipe.expect:
            expect = recipe.expect
            facts["to expect"] = f"{expect}, after {expect.step:,} steps: {expect.took} on two processors"
        rows = "".join(f"<tr><th>{html.escape(key)}</th><td>{html.escape(str(value))}</td></tr>" for key, value in facts.items())
        commands = f"python -m tinytx train {name}\npython -m tinytx reproduce {name}"
        settings = "".join(
            f"<tr><td><code>{html.escape(field.name)}</code></td><td>{html.escape(str(field.default))}</td>"
            f"<td>{inline(field.metadata.get('help', ''))}</td></tr>"
            for field in recipe.settings.__dataclass_fields__.values()
        )
        model = next((key for key, (kind, _) in MODELS.items() if kind is recipe.model), None)
        link = f'<p><a href="../models/{model}.html">{recipe.model.__name__}</a></p>' if model else ""
        about = f"<p>{inline(' '.join(recipe.about.split()))}</p>" if recipe.about else ""
        body = f"<article>{about}<table>{rows}</table>{link}<pre>{commands}</pre><h2>Settings</h2><table>{settings}</table></article>"
        yield Page(f"recipes/{name}.html", name, RECIPES[name], body, f"{recipe.system} {recipe.paper} {recipe.learns} {recipe.about}")
