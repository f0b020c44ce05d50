// Verification of webhooks by the public scheme "Standard Webhooks", version 1 (HMAC-SHA256).

/** The message was not sent by the holder of the secret, was changed, or is too old. */
export class WebhookInvalid extends Error {
    override readonly name = "WebhookInvalid";
}

function bytesOf(base64: string): Uint8Array<ArrayBuffer> | undefined {
    try {
        const text = atob(base64);
        return Uint8Array.from(text, (c) => c.charCodeAt(0));
    } catch {
        return undefined;
    }
}

/**
 * Throws WebhookInvalid unless `body`, as it was received, was signed with one of the secrets.
 * headers: Headers, or an object with names in lower case. tolerance: seconds by which the clocks may differ. A message can be delivered
 * more than once: the header webhook-id tells.
 */
export async function verifyWebhook(secrets: string | string[], headers: Headers | Record<string, string | string[] | undefined>,
    body: string | Uint8Array, { tolerance = 300, now = Date.now() / 1000 } = {}): Promise<void> {
    const header = (name: string) => {
        const value = headers instanceof Headers ? headers.get(name) : headers[name];
        if (typeof value !== "string")
            throw new WebhookInvalid(`the header ${name} is missing`);
        return value;
    };
    const id = header("webhook-id"), sent = header("webhook-timestamp"), signatures = header("webhook-signature").split(" ");
    if (!/^[0-9]+$/.test(sent))
        throw new WebhookInvalid("webhook-timestamp is not a number");
    if (Math.abs(now - Number(sent)) > tolerance)
        throw new WebhookInvalid("webhook-timestamp is too far from the present time");
    const encoder = new TextEncoder(), head = encoder.encode(`${id}.${sent}.`), rest = typeof body === "string" ? encoder.encode(body) : body;
    const content = new Uint8Array(head.length + rest.length);
    content.set(head);
    content.set(rest, head.length);
    for (const secret of typeof secrets === "string" ? [secrets] : secrets) {
        const bytes = bytesOf(secret.replace(/^whsec_/, ""));
        if (!bytes || bytes.length === 0)
            throw new TypeError("the secret is not whsec_ followed by base64");
        const key = await crypto.subtle.importKey("raw", bytes, { name: "HMAC", hash: "SHA-256" }, false, ["verify"]);
        for (const signature of signatures) {
            const given = signature.startsWith("v1,") ? bytesOf(signature.slice(3)) : undefined;
            if (given && await crypto.subtle.verify("HMAC", key, given, content))
                return;
        }
    }
    throw new WebhookInvalid("no signature fits");
}
