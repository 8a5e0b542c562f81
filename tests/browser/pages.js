/* What can be judged of a page by looking at it; each function returns what is wrong.

   Contrast is that of WCAG 2.2 (1.4.3, AA): 4.5 to 1, for large text 3 to 1. */
"use strict";
(() => {
    const OURS = "#content, main.door, .durable-page .messagelist";
    const SHAPES = "rect, circle, ellipse, path, polygon";
    const FOCUSABLE =
        "a[href], button:not(:disabled), input:not([type=hidden], :disabled), " +
        "select:not(:disabled), textarea:not(:disabled), summary, [tabindex='0']";

    // A colour on its way from one to another is none that is read.
    const still = new CSSStyleSheet();
    still.replaceSync("*, *::before, *::after { transition: none !important; animation: none !important }");
    document.adoptedStyleSheets.push(still);

    const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });

    /* Red, green and blue, and opacity from 0 to 1, of any colour that CSS can write. */
    function rgba(colour) {
        canvas.clearRect(0, 0, 1, 1);
        canvas.fillStyle = colour;
        canvas.fillRect(0, 0, 1, 1);
        const [red, green, blue, alpha] = canvas.getImageData(0, 0, 1, 1).data;
        return [red, green, blue, alpha / 255];
    }

    function over([red, green, blue, alpha], below) {
        const mix = (value, other) => value * alpha + other * (1 - alpha);
        return [mix(red, below[0]), mix(green, below[1]), mix(blue, below[2]), 1];
    }

    function luminance(colour) {
        const [red, green, blue] = colour.slice(0, 3).map((value) => {
            const part = value / 255;
            return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
        });
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
    }

    function contrast(one, other) {
        const [light, dark] = [luminance(one), luminance(other)].sort((a, b) => b - a);
        return (light + 0.05) / (dark + 0.05);
    }

    const isDrawn = (element) => element instanceof SVGElement && element.localName !== "svg";

    function opacity(element) {
        let product = 1;
        for (let at = element; at; at = at.parentElement) {
            product *= Number(getComputedStyle(at).opacity);
        }
        return product;
    }

    /* What an element paints itself with, behind others. */
    function paint(element) {
        const style = getComputedStyle(element);
        if (isDrawn(element)) {
            if (!element.matches(SHAPES) || style.fill === "none") {
                return [0, 0, 0, 0];
            }
            const [red, green, blue, alpha] = rgba(style.fill);
            return [red, green, blue, alpha * Number(style.fillOpacity) * opacity(element)];
        }
        const [red, green, blue, alpha] = rgba(style.backgroundColor);
        return [red, green, blue, alpha * opacity(element)];
    }

    function background(element, box) {
        const style = getComputedStyle(element);
        if (isDrawn(element) && style.paintOrder.startsWith("stroke") && style.stroke !== "none") {
            return rgba(style.stroke);
        }
        const stack = document.elementsFromPoint(box.x + box.width / 2, box.y + box.height / 2);
        const below = stack.slice(Math.max(stack.indexOf(element), 0));
        let found = [255, 255, 255, 1];
        for (const one of below.reverse()) {
            found = over(paint(one), found);
        }
        return found;
    }

    function isHidden(element, box) {
        const style = getComputedStyle(element);
        return box.width <= 1 || box.height <= 1 || style.visibility !== "visible" ||
            element.closest(".visually-hidden, [aria-hidden=true], :disabled, option") ||
            !element.checkVisibility();
    }

    function texts() {
        const found = [];
        for (const root of document.querySelectorAll(OURS)) {
            const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
            while (walker.nextNode()) {
                const text = walker.currentNode;
                if (text.data.trim() && text.parentElement.localName !== "title") {
                    const range = document.createRange();
                    range.selectNodeContents(text);
                    const box = range.getBoundingClientRect();
                    if (!isHidden(text.parentElement, box)) {
                        found.push([text, box]);
                    }
                }
            }
        }
        return found;
    }

    function name(element) {
        const text = (element.textContent || "").trim().replace(/\s+/g, " ").slice(0, 30);
        const classes = (element.getAttribute("class") || "").replaceAll(" ", ".");
        return `<${element.localName}${classes && "." + classes}> ${text || element.name || ""}`;
    }

    function faint(ours = "*") {
        const found = new Set();
        for (const [text, box] of texts()) {
            if (!text.parentElement.closest(ours)) {
                continue;
            }
            const element = text.parentElement;
            const style = getComputedStyle(element);
            const behind = background(element, box);
            const [red, green, blue, alpha] = rgba(isDrawn(element) ? style.fill : style.color);
            const ink = over([red, green, blue, alpha * opacity(element)], behind);
            const size = parseFloat(style.fontSize);
            const isLarge = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
            const ratio = contrast(ink, behind);
            if (ratio < (isLarge ? 3 : 4.5)) {
                const colours = [ink, behind].map((one) => one.slice(0, 3).map(Math.round));
                found.add(`${name(element)}: ${ratio.toFixed(2)} of ${colours.join(" on ")}`);
            }
        }
        return [...found];
    }

    /* Without what Django and themes have painted. */
    const faintOfOurs = () => faint("[class*=durable-]:not(body)");

    const says = (label) => label.textContent.trim() || label.querySelector("img[alt]")?.alt;

    function unlabelled() {
        return [...document.querySelectorAll(OURS)]
            .flatMap((root) => [...root.querySelectorAll("input, select, textarea")])
            .filter((field) => field.type !== "hidden" && field.checkVisibility())
            .filter((field) => !field.ariaLabel && !field.hasAttribute("aria-labelledby"))
            .filter((field) => ![...(field.labels || [])].some(says))
            .filter((field) => !(field.type === "submit" && field.value))
            .map((field) => field.outerHTML.slice(0, 120));
    }

    /* Links and buttons without a name, and statuses that are a colour and nothing else. */
    function nameless() {
        // The plate of a frame lies under it; its caption says how it stands.
        const drawn = "[class*=drawn-is-]:not(.drawn-frame), [class*=drawn-was-]";
        const all = `a[href], button, .durable-badge, ${drawn}`;
        return [...document.querySelectorAll(OURS)]
            .flatMap((root) => [...root.querySelectorAll(all)])
            .filter((element) => element.checkVisibility())
            .filter((element) => !(element.ariaLabel || element.title || element.textContent.trim()))
            .map((element) => element.outerHTML.slice(0, 120));
    }

    /* Inline styles, scripts and handlers in what the templates of the package write. */
    function inline() {
        return [...document.querySelectorAll(OURS)]
            .flatMap((root) => [...root.querySelectorAll("*")])
            .filter((element) => element.localName === "style" || element.hasAttribute("style") ||
                (element.localName === "script" && !element.src) ||
                element.getAttributeNames().some((it) => it.startsWith("on")))
            .map((element) => element.outerHTML.slice(0, 120));
    }

    /* What is wider than the window, so that the whole page scrolls sideways. */
    function wide() {
        const root = document.documentElement;
        return root.scrollWidth > root.clientWidth
            ? [`the page is ${root.scrollWidth} wide, the window ${root.clientWidth}`]
            : [];
    }

    /* --- Focus: `remember`, press Tab and `look` until it says "end", then `missed` ------- */

    let looks;
    let reached;
    let last;

    function focusable() {
        return [...document.querySelectorAll(OURS)]
            .flatMap((root) => [...root.querySelectorAll(FOCUSABLE)])
            .filter((it) => it.checkVisibility({ visibilityProperty: true }))
            // Of radio buttons, one is reached; arrows lead to the others.
            .filter((it) => it.type !== "radio" || it.checked || it === it.form?.elements[it.name]?.[0]);
    }

    function appearance(element) {
        return [element, ...element.querySelectorAll("*")].slice(0, 12).map((one) => {
            const style = getComputedStyle(one);
            const outline = style.outlineStyle === "none" ? "" : style.outline;
            return [outline, style.boxShadow, style.borderColor, style.backgroundColor,
                style.color, style.textDecorationLine, style.stroke, style.strokeWidth].join();
        }).join();
    }

    function remember() {
        document.activeElement?.blur();
        reached = new Set();
        looks = new Map(focusable().map((element) => [element, appearance(element)]));
    }

    function look() {
        const element = document.activeElement;
        // A field for a date has several stops.
        const isNew = !reached.has(element);
        if (!element || element === document.body || (!isNew && element !== last)) {
            return "end";
        }
        last = element;
        reached.add(element);
        return looks.get(element) === appearance(element) ? name(element) : "";
    }

    function missed() {
        return [...looks.keys()].filter((element) => !reached.has(element)).map(name);
    }

    window.judge = { faint, faintOfOurs, unlabelled, nameless, inline, wide, remember, look, missed };
})();
