// What the search reads, for the build, which makes the index, and for the page, which loads it.
export const FIELDS = {
    fields: ["title", "text"], storeFields: ["url", "title", "page"],
    searchOptions: { boost: { title: 4 }, prefix: (term) => term.length > 2, fuzzy: (term) => (term.length > 5 ? 0.2 : false), combineWith: "AND" },
};
