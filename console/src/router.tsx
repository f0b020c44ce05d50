// Addresses below /console/. What a screen shows (its filters, its tab) is in the address, so that it can be sent to someone else.
import type { ComponentChildren } from "preact";
import { useCallback } from "preact/hooks";
import { Store } from "./api";
import { useStore } from "./hooks";

const BASE = "/console";
const read = () => location.pathname.slice(BASE.length).replace(/\/+$/, "") + location.search;
export const address = new Store(read());
addEventListener("popstate", () => { address.value = read(); });

export function navigate(to: string, replace = false): void {
    history[replace ? "replaceState" : "pushState"](null, "", BASE + to);
    address.value = read();
    if (!replace) scrollTo(0, 0);
}
export const path = (): string[] => address.value.split("?")[0]!.split("/").filter(Boolean).map((part) => {
    try { return decodeURIComponent(part); } catch { return part; }
});

/** The query of the address, and a function that changes some members ("" removes one). */
export function useQuery(): [URLSearchParams, (change: Record<string, string>, push?: boolean) => void] {
    const at = useStore(address);
    const change = useCallback((values: Record<string, string>, push = false) => {
        const [where, search] = address.value.split("?");
        const set = new URLSearchParams(search);
        for (const [name, value] of Object.entries(values)) if (value) set.set(name, value); else set.delete(name);
        const text = set.toString();
        navigate((where || "/") + (text && "?" + text), !push);
    }, []);
    return [new URLSearchParams(at.split("?")[1]), change];
}

export function Link({ to, children, ...rest }: { to: string; children: ComponentChildren; class?: string; "aria-current"?: "page" | undefined }) {
    const click = (event: MouseEvent) => {
        if (event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
        event.preventDefault();
        navigate(to);
    };
    return <a {...rest} href={BASE + to} onClick={click}>{children}</a>;
}
