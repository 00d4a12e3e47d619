"""What a model may write to make a frame run something or open a connection, and what may be in a frame."""

import random


def _words(line):
    return line.split()


# Each kind's {url} is an address of its own, so that it is known which of them was asked.
KINDS = {
    "inner iframe": '<iframe src="{url}"></iframe>',
    "srcdoc": "<iframe srcdoc='<meta http-equiv=refresh content=\"0;url={url}\">'></iframe>",
    "srcdoc with an image": "<iframe srcdoc='<img src={url}>'></iframe>",
    "iframe without quotes": "<iframe\nsrc\n=\n{url}\n>",
    "iframe in svg": '<svg><foreignObject><iframe src="{url}"></iframe></foreignObject></svg>',
    "frameset": '<frameset><frame src="{url}"></frameset>',
    "object": '<object data="{url}"></object>',
    "object of html": '<object type="text/html" data="{url}"></object>',
    "embed": '<embed src="{url}">',
    "portal and fencedframe": '<portal src="{url}"></portal><fencedframe src="{url}"></fencedframe>',
    "refresh": '<meta http-equiv="refresh" content="0;url={url}">',
    "refresh, spelled": '<META HTTP-EQUIV="&#114;efresh" CONTENT="0; URL=&#39;{url}&#39;">',
    "preconnect": '<link rel="preconnect" href="{url}">',
    "preconnect, crossorigin": '<link rel="dns-prefetch preconnect" crossorigin href="{url}">',
    "dns-prefetch": '<link rel="dns-prefetch" href="{url}">',
    "prefetch": '<link rel="prefetch" href="{url}">',
    "preload": '<link rel="preload" as="image" href="{url}"><link rel="modulepreload" href="{url}">',
    "prerender": '<link rel="prerender" href="{url}">',
    "stylesheet": '<link rel="stylesheet" href="{url}">',
    "icon and manifest": '<link rel="icon" href="{url}"><link rel="manifest" href="{url}">',
    "base": '<base href="{url}"><img src="x"><link rel=preconnect href="/x">',
    "a policy of its own": '<meta http-equiv="Content-Security-Policy" content="default-src *"><img src="{url}">',
    "before our head": '</head></html><!doctype html><html><head><link rel=preconnect href="{url}">',
    "out of the attribute": '"></iframe><img src="{url}"><iframe src="{url}">',
    "out of the attribute, spelled": '&quot;&gt;&lt;img src="{url}"&gt;&amp;quot;><img src={url}>',
    "link with ping": '<a href="{url}" ping="{url}" target="_blank" download autofocus>x</a>',
    "form": '<form action="{url}"><button formaction="{url}">x</button></form>',
    "image": '<img src="{url}" srcset="{url} 2x" lowsrc="{url}">',
    "picture": '<picture><source srcset="{url}"><img></picture>',
    "input": '<input type="image" src="{url}">',
    "video": '<video poster="{url}" src="{url}" autoplay></video><audio src="{url}" autoplay></audio>',
    "track": '<video><source src="{url}"><track default src="{url}"></video>',
    "body background": '<body background="{url}"><table background="{url}"><tr><td background="{url}">x</table>',
    "svg image": '<svg><image href="{url}"/><image xlink:href="{url}"/></svg>',
    "svg use": '<svg><use href="{url}#a"/><use xlink:href="{url}#a"/></svg>',
    "svg feImage": '<svg><filter id=f><feImage href="{url}"/></filter><rect width=9 height=9 filter="url(#f)"/></svg>',
    "svg animation": '<svg><image><animate attributeName="href" to="{url}" begin="0s" dur="1s"/><set attributeName="href" to="{url}"/></image></svg>',
    "svg paint": '<svg><rect width=9 height=9 fill="url({url})" clip-path="url({url}#c)" mask="url({url}#m)" filter="url({url}#f)"/></svg>',
    "svg marker": '<svg><path d="M0 0L9 9" marker-end="url({url}#m)" style="marker:url({url}#m);cursor:url({url}),auto"/></svg>',
    "svg script": '<svg><script href="{url}"></script></svg>',
    "svg style": '<svg><style>&#64;import "{url}";*{{background:u&#114;l({url})}}</style></svg>',
    "svg cdata": '<svg><desc><![CDATA[><img src="{url}">]]></desc></svg>',
    "mutation": '<svg></p><style><a id="</style><img src={url}>">',
    "math": '<math href="{url}"><mtext><table><mglyph><style><img src="{url}"></style></table></mtext></math>',
    "import": '<style>@import "{url}";@import url({url});</style>',
    "url": "<style>body{{background:url({url});list-style:url('{url}')}}</style>",
    "url, escaped": r"<style>body{{background:\75rl({url});cursor:u\r\l({url}),auto}}</style>",
    "url, with a comment": "<style>body{{background:url/**/({url})}}p{{background:u/**/rl({url})}}</style><p>x",
    "image-set": '<style>body{{background:image-set("{url}" 1x);list-style-image:-webkit-image-set(url({url}) 1x)}}</style>',
    "image-set through a variable": '<style>body{{--u:"{url}";background:image-set(var(--u) 1x)}}</style>',
    "url in a variable": "<style>body{{--u:url({url});background:var(--u)}}</style>",
    "cross-fade": "<style>body{{background:-webkit-cross-fade(url({url}),url({url}),50%)}}</style>",
    "font-face": "<style>@font-face{{font-family:f;src:url({url})}}body{{font-family:f}}</style>x",
    "src()": '<style>body{{background:src("{url}")}}</style>',
    "pseudo-element": "<style>p::before{{content:url({url})}}p{{border-image:url({url}) 1}}</style><p>x",
    "namespace and supports": "<style>@namespace url({url});@supports (color:red){{p{{background:url({url})}}}}</style><p>x",
    "layer": "<style>@layer a{{p{{background:url({url})}}}}@media all{{@media all{{p{{background:url({url})}}}}}}</style><p>x",
    "nested rule": "<style>p{{&{{background:url({url})}}background:red;&:hover{{color:red}}}}</style><p>x",
    "keyframes": "<style>@keyframes a{{from{{background:url({url})}}}}p{{animation:a 9s infinite}}</style><p>x",
    "end of the style": "<style>a{{content:'</style><img src={url}>'}}</style>",
    "end of the style, spelled": r"<style>a{{content:'<\/style >'}}</STYLE/x><img src={url}>",
    "style attribute": '<p style="background:url({url});mask:url({url})">x</p>',
    "style attribute, spelled": '<p style="background:&#117;rl(&quot;{url}&quot;);background:u&#92;72l({url})">x</p>',
    "template": '<template><img src="{url}"></template><img src="{url}">',
    "shadow root": '<div><template shadowrootmode="open"><img src="{url}"><link rel=preconnect href="{url}"></template></div>',
    "noscript": '<noscript><img src="{url}"></noscript><noscript><p title="</noscript><img src={url}>">',
    "raw text": '<xmp></xmp><img src="{url}"><textarea></textarea><img src="{url}"><title></title><img src="{url}">',
    "plaintext": '<plaintext><img src="{url}"></plaintext>',
    "comment": '<!--><img src="{url}">--><!--x--!><img src="{url}"><!-- <img src="{url}">',
    "speculation rules": '<script type="speculationrules">{{"prefetch":[{{"source":"list","urls":["{url}"]}}]}}</script>',
    "import map and module": '<script type="module" src="{url}"></script><script type="importmap">{{"imports":{{"x":"{url}"}}}}</script>',
    "script": '<script src="{url}"></script><script>new Image().src="{url}";fetch("{url}");top.qfpwned(1)</script>',
    "handlers": '<body onload="top.qfpwned(2)"><img src=x onerror="fetch(\'{url}\')"><p oncontentvisibilityautostatechange="fetch(\'{url}\')" style="display:block;content-visibility:auto">x',
    "javascript": "<iframe src=\"javascript:location='{url}'\"></iframe><a href=\"javascript:location='{url}'\">x</a>",
    "data page": '<iframe src="data:text/html,<img src={url}>"></iframe><object data="data:text/html,<img src={url}>"></object>',
    "data svg": "<img src=\"data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg'><image href='{url}'/></svg>\">",
    "deep": "<div>" * 3000 + '<img src="{url}">',
    "hidden characters": '<\u200bimg src="{url}">\u202e<img\u200b src="{url}"><img \u202esrc="{url}">',
    "null characters": '<im\x00g src="{url}"><img s\x00rc="{url}"><\x00link rel=preconnect href="{url}"><link rel=preconnect\x00 href="{url}">',
    "legacy": '<applet code="{url}"></applet><bgsound src="{url}"><layer src="{url}"></layer><isindex action="{url}"><image src="{url}"><xml src="{url}"></xml>',
}

TAGS = [
    *_words(
        "a b p br div span ul li table tr td img style svg g rect path image use foreignobject title text math mtext mi"
    ),
    *_words(
        "mglyph annotation-xml desc iframe object embed script link meta base form input button template select option"
    ),
    *_words("frameset frame noscript textarea xmp plaintext noembed noframes body html head h1 details summary marker"),
    *_words("clippath lineargradient stop tspan col caption tbody th dl dt dd ruby rt pre blockquote video source"),
]
ATTRIBUTES = [
    *_words(
        "href src srcdoc style onload onerror id class title data action formaction background poster ping xlink:href"
    ),
    *_words("srcset fill marker-end clip-path d points width colspan dir type rel http-equiv content shadowrootmode"),
]
VALUES = [
    *_words("x 1 5% http://evil.test/1 //evil.test/2 javascript:qfpwned(1) data:text/html,x url(http://evil.test/3)"),
    *_words(
        "url(#a) color:red background:url(http://evil.test/4) red 9 refresh preconnect 0;url=http://evil.test/5 open"
    ),
    *(
        [
            '">',
            "'>",
            "</style>",
            "<!--",
            "-->",
            "]]>",
            "<img/src=x>",
            "&quot;",
            "&lt;img&gt;",
            "&#117;rl(x)",
            "u\\72l(x)",
            "\u202e",
            "\u200b",
            "\x00",
            "/*",
            "*/",
        ]
    ),
    *_words('image-set("x"1x) src("x") @import"x"; a{b:c} p{color:red} *{background:url(x)} var(--x) rgb(1,2,3)'),
]
PIECES = [*VALUES, "<![CDATA[", "<!", "<?x", "</", "<", "`", " ", "\n", "text", "<!doctype html>", "/>", "=", '"', "'"]


def tag_soup(choice):
    """A text of tags, right and wrong; *choice* picks one of a list."""
    made = []
    for _ in range(choice(range(1, 14))):
        kind = choice(range(5))
        if kind < 3:
            attributes = []
            for _ in range(choice([0, 1, 1, 2])):
                quote = choice(['"', "'", ""])
                attributes.append(f"{choice([' ', '/', chr(10)])}{choice(ATTRIBUTES)}={quote}{choice(VALUES)}{quote}")
            made.append(f"<{choice(TAGS)}{''.join(attributes)}{choice(['>', '>', '>', '/>', ''])}")
        elif kind == 3:
            made.append(f"</{choice(TAGS)}>")
        else:
            made.append(choice(PIECES))
    return "".join(made)


def tag_soups(count, seed=0):
    source = random.Random(seed)
    return [tag_soup(source.choice) for _ in range(count)]


ALLOWED = frozenset(
    _words(
        "html head meta style body address article aside blockquote center details dd div dl dt figcaption figure "
        "footer h1 h2 h3 h4 h5 h6 header hr li main nav ol p pre section summary table ul a abbr b br cite code "
        "del dfn em i img ins kbd label mark meter progress q rp rt ruby s samp small span strong sub sup time u "
        "var wbr caption colgroup col thead tbody tfoot tr td th svg g defs circle ellipse line path polygon "
        "polyline rect text tspan lineargradient radialgradient stop marker clippath"
    )
)
# Attributes that take an address, and those whose values are scripts or pages, whatever the element.
FORBIDDEN = frozenset(
    _words(
        "href xlink:href srcset srcdoc action formaction background poster ping data code codebase archive cite "
        "longdesc usemap manifest profile classid lowsrc dynsrc target download autofocus mask filter cursor from "
        "to values attributename begin shadowrootmode shadowroot is slot name rel itemid part contenteditable "
        "tabindex accesskey popover"
    )
)


def element_faults(name, attributes):
    """What an element of a frame has that it must not have."""
    if name not in ALLOWED:
        return [name]
    if name == "meta":  # ours
        return []
    faults = []
    for key, value in attributes:
        bare = value.lower().replace("url(#a)", "") if key != "style" else value.lower()
        picture = (
            name == "img" and key == "src" and value.startswith(("data:image/png;base64,", "data:image/gif;base64,"))
        )
        if key in FORBIDDEN or key.startswith("on") or (key == "src" and not picture):
            faults.append(f"{name} {key}")
        elif key not in ("alt", "title", "aria-label", "datetime"):
            faults += [
                f"{name} {key}={value}"
                for word in ("url(", "src(", "image", "//", "\\", "@")
                if word in bare and not picture
            ]
    return faults


def style_faults(content):
    """What a frame's style sheet has that it must not have."""
    return [
        word
        for word in ("url(", "src(", "image-set", "@import", "@font", "fade", "\\", "<", "&")
        if word in content.lower()
    ]
