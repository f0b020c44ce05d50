// Draws the API reference with Swagger UI and sends what its reader tries to this server.
(() => {
    const dark = matchMedia("(prefers-color-scheme: dark)"), colour = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
    dark.addEventListener("change", colour);
    colour();

    const STREAM_MS = 5000;
    /** What a stream sends within STREAM_MS: a stream may have no end, and Swagger UI shows a response when it is complete. */
    async function beginningOf(response) {
        const reader = response.body.getReader(), decoder = new TextDecoder();
        let text = "", late = false;
        const timer = setTimeout(() => { late = true; void reader.cancel(); }, STREAM_MS);
        for (;;) {
            const { done, value } = await reader.read();
            if (value) text += decoder.decode(value, { stream: true });
            if (done) break;
        }
        clearTimeout(timer);
        if (late) text += `: this page stopped reading after ${STREAM_MS / 1000} s\n`;
        return new Response(text, { status: response.status, statusText: response.statusText, headers: response.headers });
    }
    async function send(url, request) {
        // Without cookies: a request with a key and the cookie of the console is rejected.
        const response = await fetch(url, { ...request, credentials: "omit", redirect: "error" });
        return response.headers.get("Content-Type")?.startsWith("text/event-stream") ? beginningOf(response) : response;
    }

    /** The layout: without the heading, which is the page's own, and without the list of servers, of which there is one: this one. */
    const plugin = (system) => {
        const create = system.React.createElement;
        return {
            components: {
                DeepLink: ({ text }) => create("span", null, text), // stands within the button that opens the operation
                PageLayout: ({ getComponent }) => create("div", { className: "swagger-ui" }, create(getComponent("SvgAssets")), create(getComponent("errors", true)),
                    create("div", { className: "authorize-row" }, create(getComponent("AuthorizeBtnContainer", true))), create(getComponent("operations", true))),
            },
        };
    };
    /** Names for what Swagger UI draws without one, for readers who hear the page, and keys for what scrolls. */
    function mend(root) {
        const each = (selector, work) => root.querySelectorAll(selector).forEach(work);
        each("textarea.body-param__text:not([aria-label])", (e) => e.setAttribute("aria-label", "Request body"));
        each("tr[data-param-name] select:not([aria-label])", (e) => e.setAttribute("aria-label", e.closest("tr").dataset.paramName));
        each("tr[data-param-name] input:not([aria-label])", (e) => e.setAttribute("aria-label", e.closest("tr").dataset.paramName));
        each("table[role=region]", (e) => e.removeAttribute("role"));
        each("pre:not([tabindex])", (e) => e.setAttribute("tabindex", "0"));
        each("button.close-modal:not([aria-label])", (e) => e.setAttribute("aria-label", "Close"));
        each(".auth-btn-wrapper button[aria-label]", (e) => e.removeAttribute("aria-label"));
        each("input[aria-label^=auth-]", (e) => e.setAttribute("aria-label", "API key"));
    }
    const place = document.getElementById("site-reference");
    new MutationObserver(() => mend(place)).observe(place, { childList: true, subtree: true });
    globalThis.SwaggerUIBundle({
        url: "openapi.json", domNode: place, plugins: [plugin], layout: "PageLayout", deepLinking: true, validatorUrl: null, queryConfigEnabled: false, persistAuthorization: false,
        tryItOutEnabled: true, displayRequestDuration: true, docExpansion: "list", defaultModelsExpandDepth: -1, syntaxHighlight: { activated: false },
        requestInterceptor: (request) => { request.userFetch = send; return request; },
    });
})();
