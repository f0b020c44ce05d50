// Streams without an end, while the page is visible: the feed of the workspace, and the executors' log.
import { useEffect, useRef, useState } from "preact/hooks";
import { follow, type FeedEvent, type Message, type Problem } from "./api";
import { visible } from "./hooks";
import { readJson } from "./exact";

/** problem: why the server refuses the stream. */
export interface Live { connected: boolean; problem?: Problem | undefined }

/**
 * Calls `message` with each event of the stream. A hidden page is not connected; with `resume` it continues where it was. It ends
 * if the server does not offer the stream to this session.
 */
export function useStream(path: string, active: boolean, message: (m: Message) => void, resume = false): Live {
    const [live, setLive] = useState<Live>({ connected: false }), call = useRef(message);
    call.current = message;
    useEffect(() => {
        if (!active) return undefined;
        const end = new AbortController();
        let stream = new AbortController(), last = "";
        const hidden = () => { if (document.hidden) stream.abort(); };
        document.addEventListener("visibilitychange", hidden);
        void (async () => {
            while (!end.signal.aborted) {
                await visible(end.signal);
                if (end.signal.aborted) return;
                stream = new AbortController();
                await follow(path, AbortSignal.any ? AbortSignal.any([end.signal, stream.signal]) : stream.signal, (m) => { last = m.id || last; call.current(m); }, (connected, problem) => setLive({ connected, problem }), resume ? last : "");
                if (!stream.signal.aborted) return;
                setLive({ connected: false });
            }
        })();
        return () => { document.removeEventListener("visibilitychange", hidden); end.abort(); stream.abort(); };
    }, [path, active]);
    return live;
}

/** Calls `ended` with each event of the feed. Events that were told before are left out. */
export function useFeed(query: string, active: boolean, ended: (event: FeedEvent) => void): Live {
    const told = useRef(new Set<string>());
    return useStream("/events" + query, active, (m) => {
        const event = readJson(m.data) as FeedEvent, mark = `${event.execution_id}/${event.seq}`;
        if (event.execution_id && told.current.has(mark)) return;
        told.current.add(mark);
        if (told.current.size > 20000) told.current.clear();
        ended(event);
    });
}
