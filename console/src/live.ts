// Streams without an end, while the page is visible: the feed of the workspace, and the executors' log.
import { useEffect, useRef, useState } from "preact/hooks";
import { follow, query, type FeedEvent, type Message, type Problem } from "./api";
import { visible } from "./hooks";
import { readJson } from "./exact";

/** problem: why the server refuses the stream. */
export type Ends = NonNullable<FeedEvent["ended"]>;
export interface Live { connected: boolean; problem?: Problem | undefined }

/**
 * Calls `message` with each event of the stream. A hidden page is not connected. With `resume` each connection continues where the one
 * before it was, otherwise it begins anew. It ends if the server does not offer the stream to this session.
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
                await follow(path, AbortSignal.any ? AbortSignal.any([end.signal, stream.signal]) : stream.signal, (m) => { last = m.id || last; call.current(m); }, (connected, problem) => setLive({ connected, problem }), resume ? last : null);
                if (!stream.signal.aborted) return;
                setLive({ connected: false });
            }
        })();
        return () => { document.removeEventListener("visibilitychange", hidden); end.abort(); stream.abort(); setLive({ connected: false }); };
    }, [path, active]);
    return live;
}

/**
 * Calls `ended` when runs of the workspace have ended, at most once a second, with their number by state; and with 0 of each when some may have
 * been missed, because a connection is new. A list that is read again needs no more: an event for each end would cost the server and
 * this page more than reading.
 */
export function useEnds(filters: Record<string, string>, active: boolean, ended: (counts: Ends) => void): Live {
    const live = useStream("/events" + query({ summary: "true", ...filters }), active, (m) => {
        const event = readJson(m.data) as FeedEvent;
        if (event.ended) ended(event.ended);
    });
    useEffect(() => { if (live.connected) ended({ succeeded: 0, failed: 0, stopped: 0 }); }, [live.connected]);
    return live;
}
