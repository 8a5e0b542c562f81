/* Regions that keep themselves up to date (see admin/live.py), ticking times, and
   buttons that copy. Pages work without this file; nothing in it needs eval. */
"use strict";
(() => {
    const PERIOD = 2000;
    const SLOW = 5;
    const LONGEST = 60000;
    const STORED = "django_durable.live";
    const TYPED = "input:not([type=checkbox], [type=radio], [type=button], [type=submit]), textarea, select";

    let failures = 0;
    let rounds = 0;
    let timer;

    /* --- Whether to ask ------------------------------------------------------------- */

    function isOff() {
        try {
            return localStorage.getItem(STORED) === "off";
        } catch {
            return false;
        }
    }

    function isBusy(region) {
        const focused = document.activeElement;
        if (focused && region.contains(focused) && focused.matches(TYPED)) {
            return true;
        }
        if (document.querySelector("dialog[open]")) {
            return true;
        }
        if (region.querySelector("input.action-select:checked, details[data-menu][open]")) {
            return true;
        }
        const selection = document.getSelection();
        return Boolean(selection && !selection.isCollapsed && selection.containsNode(region, true));
    }

    function state() {
        const all = [...document.querySelectorAll("[data-live]")];
        if (all.every((region) => region.dataset.live === "ended")) {
            return "ended";
        }
        if (isOff()) {
            return "off";
        }
        if (document.hidden || all.some(isBusy)) {
            return "paused";
        }
        return failures ? "lost" : "on";
    }

    /* --- Asking --------------------------------------------------------------------- */

    function plan() {
        clearTimeout(timer);
        timer = setTimeout(ask, Math.min(PERIOD * 2 ** failures, LONGEST));
    }

    function ask() {
        const now = state();
        tell(now);
        if (now === "on" || now === "lost") {
            rounds += 1;
            const live = rounds % SLOW ? "[data-live=on]" : "[data-live=on], [data-live=slow]";
            for (const region of document.querySelectorAll(live)) {
                region.dispatchEvent(new CustomEvent("durable:refresh"));
            }
        }
        if (now !== "ended") {
            plan();
        }
    }

    function failed() {
        failures += 1;
        tell(state());
        plan();
    }

    document.addEventListener("htmx:config:request", ({ target, detail }) => {
        if (target.durableTag) {
            detail.ctx.request.headers["If-None-Match"] = target.durableTag;
        }
    });

    document.addEventListener("htmx:before:response", (event) => {
        const { target, detail } = event;
        const { raw, status } = detail.ctx.response;
        if (!target.matches("[data-live]")) {
            return;
        }
        // Without a tag it is no region: an error, or the form to log in.
        if (status !== 304 && !(raw.ok && raw.headers.has("ETag"))) {
            event.preventDefault();
            failed();
            return;
        }
        if (failures) {
            failures = 0;
            plan();
        }
        if (status === 304) {
            return;
        }
        if (isBusy(target)) {
            event.preventDefault();
            return;
        }
        target.durableTag = raw.headers.get("ETag");
    });

    document.addEventListener("htmx:error", ({ target, detail }) => {
        if (target.matches?.("[data-live]") && detail.error?.name !== "AbortError") {
            failed();
        }
    });

    document.addEventListener("htmx:after:swap", () => {
        prepare();
        announce();
        recount();
        tell(state());
    });

    document.addEventListener("visibilitychange", () => {
        if (!document.hidden) {
            ask();
        }
    });

    /* --- What the reader has opened stays open ---------------------------------------- */

    const keep = {
        htmx_before_morph_attr: (element, { attrName }) =>
            !(attrName === "open" && element.tagName === "DETAILS"),
    };

    /* --- The rows of Django's list, which its own script has counted once --------------- */

    let boxes = document.querySelectorAll("tr input.action-select").length;

    function recount() {
        const found = document.querySelectorAll("tr input.action-select");
        const counter = document.querySelector("span.action-counter");
        if (!counter || found.length === boxes) {
            return;
        }
        boxes = found.length;
        counter.dataset.actionsIcnt = String(boxes);
        if (boxes && typeof window.Actions === "function") {
            window.Actions(found);
        }
    }

    /* --- Telling ---------------------------------------------------------------------- */

    function tell(now) {
        for (const element of document.querySelectorAll("[data-live-switch]")) {
            element.hidden = !document.querySelector("[data-live]");
            element.dataset.state = now;
            const text = element.querySelector("[data-live-text]");
            if (text.textContent !== element.dataset[now]) {
                text.textContent = element.dataset[now];
            }
            const button = element.querySelector("button");
            button.setAttribute("aria-pressed", String(now !== "off"));
            button.disabled = now === "ended";
        }
    }

    function announce() {
        const announcer = document.querySelector("[data-live-announcer]");
        const text = [...document.querySelectorAll("[data-announce]")]
            .map((region) => region.dataset.announce)
            .join(" ");
        if (announcer && announcer.dataset.said !== text) {
            // What the page said when it was opened need not be said again.
            announcer.textContent = "said" in announcer.dataset ? text : "";
            announcer.dataset.said = text;
        }
    }

    /* --- Times, as sentences.about() writes them -------------------------------------- */

    function about(milliseconds) {
        const seconds = Math.max(Math.floor(milliseconds / 1000), 0);
        if (seconds >= 172800) {
            return `${Math.floor(seconds / 86400)} d`;
        }
        if (seconds >= 3600) {
            return `${Math.floor(seconds / 3600)} h`;
        }
        return seconds >= 60 ? `${Math.floor(seconds / 60)} min` : `${seconds} s`;
    }

    const words = {
        since: (age) => about(age),
        ago: (age) => (age >= 0 ? `${about(age)} ago` : `in ${about(-age)}`),
        until: (age) => (age < 0 ? `in ${about(-age)}` : "now"),
    };

    // The clock of the server counts, whatever that of the browser says.
    const server = document.querySelector("[data-now]");
    const ahead = server ? Date.parse(server.dataset.now) - Date.now() : 0;

    function tick() {
        const now = Date.now() + ahead;
        for (const element of document.querySelectorAll("time[data-relative]")) {
            const text = words[element.dataset.relative](now - Date.parse(element.dateTime));
            if (element.textContent !== text) {
                element.textContent = text;
            }
        }
    }

    /* --- Copying ---------------------------------------------------------------------- */

    function prepare() {
        for (const button of document.querySelectorAll("[data-copy][hidden]")) {
            button.hidden = !navigator.clipboard;
        }
        tick();
    }

    document.addEventListener("click", async (event) => {
        const button = event.target.closest("[data-copy]");
        if (!button) {
            return;
        }
        const text = button.dataset.copy || button.parentElement.querySelector("pre").textContent;
        await navigator.clipboard.writeText(text);
        const label = button.textContent;
        button.textContent = "✓";
        setTimeout(() => {
            button.textContent = label;
        }, 1200);
    });

    /* --- Forms that are sent once, however often their button is pressed --------------- */

    document.addEventListener("submit", (event) => {
        const form = event.target.closest("form[data-once]");
        if (form && "sent" in form.dataset) {
            event.preventDefault();
        } else if (form) {
            form.dataset.sent = "";
        }
    });

    window.addEventListener("pageshow", () => {
        for (const form of document.querySelectorAll("form[data-once]")) {
            delete form.dataset.sent;
        }
    });

    /* --- The switch ------------------------------------------------------------------- */

    document.addEventListener("click", (event) => {
        if (!event.target.closest("[data-live-switch] button")) {
            return;
        }
        try {
            localStorage.setItem(STORED, isOff() ? "on" : "off");
        } catch {
            return;
        }
        failures = 0;
        ask();
    });

    htmx.config.history = false;
    htmx.registerExtension("durable", keep);
    prepare();
    announce();
    setInterval(tick, 1000);
    tell(state());
    plan();
})();
