"""What tests of pages share beside the fixture `opened`."""

import re


def told(page, selector, pattern):
    """Return the match of a pattern in the text of an element, as soon as there is one; AssertionError after 20 seconds."""
    for _ in range(400):
        text = page.text_content(selector)
        if found := re.search(pattern, text):
            return found
        page.wait_for_timeout(50)
    raise AssertionError(f"{selector} says {text!r}, which does not match {pattern!r}")
