// The feed of the workspace: the ends of all its runs, as they happen.
import { useEffect, useRef, useState } from "preact/hooks";
import { follow, type FeedEvent } from "./api";
import { visible } from "./hooks";

export interface Live { connected: boolean }

/** Calls `ended` with each event of the feed while the page is visible. Events that were told before are left out. */
export function useFeed(query: string, active: boolean, ended: (event: FeedEvent) => void): Live {
    const [connected, setConnected] = useState(false), call = useRef(ended);
    call.current = ended;
    useEffect(() => {
        if (!active) return undefined;
        const end = new AbortController(), told = new Set<string>();
        let stream = new AbortController();
        const message = (m: { data: string }) => {
            const event = JSON.parse(m.data) as FeedEvent, mark = `${event.execution_id}/${event.seq}`;
            if (event.execution_id && told.has(mark)) return;
            told.add(mark);
            if (told.size > 20000) told.clear();
            call.current(event);
        };
        const hidden = () => { if (document.hidden) stream.abort(); };
        document.addEventListener("visibilitychange", hidden);
        void (async () => {
            while (!end.signal.aborted) {
                await visible(end.signal);
                if (end.signal.aborted) return;
                stream = new AbortController();
                await follow("/events" + query, AbortSignal.any ? AbortSignal.any([end.signal, stream.signal]) : stream.signal, message, setConnected);
                setConnected(false);
                if (!stream.signal.aborted) return; // the server does not offer the feed to this session
            }
        })();
        return () => { document.removeEventListener("visibilitychange", hidden); end.abort(); stream.abort(); };
    }, [query, active]);
    return { connected };
}
