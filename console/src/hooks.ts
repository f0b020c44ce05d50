// Hooks of the screens: values, requests that repeat themselves, and lists that are read page by page.
import { useCallback, useEffect, useMemo, useReducer, useRef, useState } from "preact/hooks";
import { delay, get, offer, Problem, serverNow, session, workspace, type Offer, type Skill, type Store } from "./api";

export function useStore<T>(store: Store<T>): T {
    const [, redraw] = useReducer((n: number) => n + 1, 0);
    useEffect(() => store.subscribe(() => redraw(undefined)), [store]);
    return store.value;
}
export const useRedraw = (): (() => void) => {
    const [, redraw] = useReducer((n: number) => n + 1, 0);
    return useCallback(() => redraw(undefined), []);
};

export const asProblem = (error: unknown): Problem => error instanceof Problem ? error : new Problem(0, "unknown", String(error));

/** Resolves when the page is visible: what nobody sees is not refreshed. */
export function visible(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
        if (!document.hidden || signal.aborted) return resolve();
        const seen = () => { if (!document.hidden || signal.aborted) { document.removeEventListener("visibilitychange", seen); signal.removeEventListener("abort", seen); resolve(); } };
        document.addEventListener("visibilitychange", seen);
        signal.addEventListener("abort", seen);
    });
}

/** Live views never ask more often than this. */
export const MIN_POLL_MS = 2000;
/**
 * The pause after an answer: a server that answers slowly is asked less often, so that open consoles cost it little. Up to a quarter is
 * chance, so that a hundred consoles that were told of an end at the same moment do not go on asking at the same moment.
 */
export const pauseAfter = (every: number, tookMs: number): number => Math.max(MIN_POLL_MS, every, Math.min(60000, 20 * tookMs)) * (1 + Math.random() / 4);

export interface Loaded<T> { data: T | undefined; error: Problem | undefined; loading: boolean; reload: () => void; set: (data: T) => void }

/** Loads when `key` changes, and again every `every` milliseconds while the page is visible (0: once). An empty key loads nothing. */
export function useLoad<T>(key: string, load: (signal: AbortSignal) => Promise<T>, every = 0): Loaded<T> {
    const [state, setState] = useState<{ key: string; data?: T; error?: Problem | undefined; loading: boolean }>({ key, loading: true });
    const [turn, again] = useReducer((n: number) => n + 1, 0);
    const loader = useRef(load);
    loader.current = load;
    useEffect(() => {
        if (!key) return undefined;
        const end = new AbortController();
        setState((old) => old.key === key ? { ...old, loading: true } : { key, loading: true });
        void (async () => {
            while (!end.signal.aborted) {
                const began = performance.now();
                try {
                    const data = await loader.current(end.signal);
                    if (!end.signal.aborted) setState({ key, data, loading: false });
                } catch (error) {
                    if (!end.signal.aborted) setState((old) => ({ ...old, key, error: asProblem(error), loading: false }));
                }
                if (!every) return;
                await delay(pauseAfter(every, performance.now() - began), end.signal);
                await visible(end.signal);
            }
        })();
        return () => end.abort();
    }, [key, every, turn]);
    const mine = state.key === key;
    const set = useCallback((data: T) => setState({ key, data, loading: false }), [key]);
    return { data: mine ? state.data : undefined, error: mine ? state.error : undefined, loading: !mine || state.loading, reload: () => again(undefined), set };
}

export interface Pages<T> {
    rows: T[]; error: Problem | undefined; loading: boolean; more: boolean;
    loadMore: () => void; refresh: () => Promise<boolean>; reload: () => void;
}
interface Page<T> { rows: T[]; next: string | null | undefined }

/**
 * A list read by cursor, newest first. `refresh` reads the first page again and joins it with what is there. A list whose first page has nothing
 * in common with it begins anew, because rows in between are missing; `refresh` tells that.
 */
export function usePages<T extends { id: string }>(key: string, load: (after: string | undefined, signal: AbortSignal) => Promise<Page<T>>): Pages<T> {
    const redraw = useRedraw();
    const [turn, again] = useReducer((n: number) => n + 1, 0);
    const loader = useRef(load);
    loader.current = load;
    const own = useRef({ key: "", rows: [] as T[], next: undefined as string | null | undefined, loading: true, error: undefined as Problem | undefined, end: new AbortController() });
    const step = useCallback(async (work: (at: typeof own.current) => Promise<void>) => {
        const at = own.current;
        try {
            await work(at);
            at.error = undefined;
        } catch (error) {
            if (at.end.signal.aborted) return;
            at.error = asProblem(error);
        }
        at.loading = false;
        if (own.current === at) redraw();
    }, []);
    useEffect(() => {
        own.current = { key, rows: [], next: undefined, loading: true, error: undefined, end: new AbortController() };
        if (!key) return undefined;
        void step(async (at) => {
            const page = await loader.current(undefined, at.end.signal);
            at.rows = page.rows;
            at.next = page.next;
        });
        const { end } = own.current;
        return () => end.abort();
    }, [key, turn]);
    const loadMore = useCallback(() => {
        const at = own.current;
        if (at.loading || !at.next) return;
        at.loading = true;
        redraw();
        void step(async (mine) => {
            const page = await loader.current(mine.next!, mine.end.signal);
            const ids = new Set(mine.rows.map((row) => row.id));
            mine.rows = [...mine.rows, ...page.rows.filter((row) => !ids.has(row.id))];
            mine.next = page.next;
        });
    }, []);
    const refresh = useCallback(async () => {
        let isNew = false;
        await step(async (at) => {
            const page = await loader.current(undefined, at.end.signal);
            const fresh = new Map(page.rows.map((row) => [row.id, row]));
            const last = page.rows.at(-1);
            const from = last ? at.rows.findIndex((row) => row.id === last.id) : -1;
            if (from >= 0) at.rows = [...page.rows, ...at.rows.slice(from + 1)];
            else if (at.rows.some((row) => fresh.has(row.id))) at.rows = [...page.rows, ...at.rows.filter((row) => !fresh.has(row.id))];
            else { isNew = at.rows.length > 0; at.rows = page.rows; at.next = page.next; }
        });
        return isNew;
    }, []);
    const mine = own.current.key === key;
    return {
        rows: mine ? own.current.rows : [], error: mine ? own.current.error : undefined, loading: !mine || own.current.loading, more: mine && !!own.current.next,
        loadMore, refresh, reload: () => again(undefined),
    };
}

/** What this server offers; undefined until it is known. */
export const useOffer = (): Offer | undefined => useLoad("offer", offer).data;

/** The names of responders by id, from the lists of workflows and skills. */
export function useNames(): Map<string, { name: string; kind: "workflow" | "skill"; slug?: string }> {
    const who = session.value, at = useRef(new Map<string, { name: string; kind: "workflow" | "skill"; slug?: string }>());
    const redraw = useRedraw();
    useEffect(() => {
        const end = new AbortController();
        const note = () => { if (!end.signal.aborted) redraw(); };
        if (who?.scopes.includes("workflows:read")) {
            get<{ workflows: { id: string; name: string }[] }>("/workflows?limit=1000", end.signal)
                .then((page) => { for (const w of page.workflows) at.current.set(w.id, { name: w.name, kind: "workflow" }); note(); }, () => undefined);
        }
        if (who?.scopes.includes("skills:read")) {
            skills(end.signal).then((list) => { for (const s of list) at.current.set(s.id, { name: s.name, kind: "skill", slug: s.slug }); note(); }, () => undefined);
        }
        return () => end.abort();
    }, [who]);
    return at.current;
}
export const space = (): string => `/spaces/${workspace()?.id}/skills`;
export const skills = async (signal?: AbortSignal): Promise<Skill[]> => (await get<{ data: Skill[] }>(space(), signal)).data;

/** The current time, again every second. */
export function useNow(active = true): number {
    const [now, set] = useState(serverNow());
    useEffect(() => {
        if (!active) return undefined;
        const timer = setInterval(() => set(serverNow()), 1000);
        return () => clearInterval(timer);
    }, [active]);
    return now;
}
export { useCallback, useEffect, useMemo, useRef, useState };
