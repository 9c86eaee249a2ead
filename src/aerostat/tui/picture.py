"""Pictures of the view, for documents: an SVG of what a terminal would show."""

import io

from rich.console import Console, RenderableType
from rich.terminal_theme import TerminalTheme

# Calm colours on a dark ground: background, foreground, then black, red, green, yellow, blue,
# magenta, cyan and white, plain and bright.
THEME = TerminalTheme(
    (22, 27, 34),
    (214, 220, 228),
    [
        (40, 46, 56),
        (239, 108, 117),
        (126, 200, 128),
        (232, 190, 96),
        (97, 155, 235),
        (190, 134, 230),
        (88, 184, 204),
        (200, 208, 216),
    ],
    [
        (110, 118, 129),
        (255, 130, 138),
        (150, 220, 150),
        (250, 212, 120),
        (130, 180, 250),
        (210, 160, 245),
        (120, 210, 228),
        (240, 244, 248),
    ],
)

# What rich fills in. Its own frame fetches a font from a third party, and leaves out
# `xml:space`, without which some programs drop the spaces that align a column.
_FRAME = """\
<svg class="rich-terminal" viewBox="0 0 {width} {height}" xml:space="preserve" \
xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{
  font-family: "Fira Code", "DejaVu Sans Mono", Menlo, Consolas, monospace;
  font-size: {char_height}px; line-height: {line_height}px; font-variant-east-asian: full-width;
}}
.{unique_id}-title {{ font-size: 18px; font-weight: bold; font-family: arial, sans-serif; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">\
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" /></clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" \
clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


def to_svg(renderable: RenderableType, title: str, *, width: int = 120) -> str:
    """Return `renderable`, drawn `width` cells wide, as the text of an SVG file."""
    console = Console(
        record=True,
        width=width,
        file=io.StringIO(),
        force_terminal=True,
        color_system="truecolor",
        no_color=False,
        legacy_windows=False,
    )
    console.print(renderable)
    return console.export_svg(title=title, theme=THEME, code_format=_FRAME)
