// Ranking of search results: what a user does comes before how corn was designed.
var Scorer = {
  score: ([docname, , , , score]) => {
    if (docname === "how-to/troubleshooting") return score + 8;
    if (docname.startsWith("explanation/decisions/")) return score - 12;
    if (docname.startsWith("explanation/")) return score - 3;
    return docname.startsWith("how-to/") || docname === "questions" ? score + 3 : score;
  },
  objNameMatch: 11,
  objPartialMatch: 6,
  objPrio: { 0: 15, 1: 5, 2: -5 },
  objPrioDefault: 0,
  title: 15,
  partialTitle: 7,
  term: 5,
  partialTerm: 2,
};
