// Asks the API what is in the editor, and remembers it for the next visit.

import { open } from "/graphql/schema.js";

const at = (id) => document.getElementById(id);
const [query, variables, result, took, docs] = ["query", "variables", "result", "took", "docs"].map(at);

const today = new Date();
const day = (year, month) => new Date(Date.UTC(year, month, 1)).toISOString().slice(0, 10);
const [month, nextMonth] = [0, 1].map((more) => day(today.getUTCFullYear(), today.getUTCMonth() + more));
const period = `period: {from: "${month}", to: "${nextMonth}"}`;
const year = `period: {from: "${day(today.getUTCFullYear() - 2, 0)}", to: "${nextMonth}"}`;

const EXAMPLES = {
  "Providers and their state": `{
  providers {
    edges { node {
      namespace name type suspended completeThrough lastSyncTime
      conditions { type status reason message }
      monthToDate { amount currency }
    } }
  }
}`,
  "Costs by provider, month by month": `{
  costs(${year}, granularity: MONTH, groupBy: [{dimension: PROVIDER}]) {
    buckets completeThrough
    series { key { value } currency amounts total share }
    totals { currency amounts total }
  }
}`,
  "This month by service, against the last": `{
  costs(${period}, groupBy: [{dimension: SERVICE}], compareTo: PREVIOUS_PERIOD, top: 10) {
    series { key { value } currency total previous change origins { origin amount } }
    others { currency total }
  }
}`,
  "Models: tokens, cache hits, and the same at other prices": `{
  models(${year}, whatIf: {model: "claude-sonnet-5"}, top: 20) {
    whatIf { model currency asOf }
    usage { model currency cost tokens costPer1000Tokens cacheHitShare whatIf { cost difference } }
    totals { currency cost tokens whatIf { cost difference } }
  }
}`,
  "Largest charges": `{
  charges(${year}, orderBy: LARGEST, first: 10) {
    edges { node { chargePeriodStart provider serviceName xModel billedCost billingCurrency xOrigin } }
    pageInfo { hasNextPage endCursor }
  }
}`,
  "What vendors changed afterwards": `{
  restatements(first: 10) {
    edges { node { at provider windowStart windowEnd currency net changed { rows amount } } }
  }
}`,
};

async function ask(text, values = {}) {
  const answer = await fetch("/graphql", {
    method: "POST",
    headers: { "content-type": "application/json", accept: "application/graphql-response+json" },
    body: JSON.stringify({ query: text, variables: values }),
  });
  return answer.json();
}

async function run() {
  remember();
  const begun = performance.now();
  took.value = "...";
  try {
    const answer = await ask(query.value, JSON.parse(variables.value || "{}"));
    result.textContent = JSON.stringify(answer, null, 2);
  } catch (error) {
    result.textContent = error instanceof SyntaxError ? `The variables are not JSON: ${error.message}` : String(error);
  }
  took.value = `${Math.round(performance.now() - begun)} ms`;
}

function remember() {
  localStorage.setItem("costhook.query", query.value);
  localStorage.setItem("costhook.variables", variables.value);
}

function indent(event) {
  if ((event.ctrlKey || event.metaKey) && event.key === "Enter") {
    event.preventDefault();
    run();
  } else if (event.key === "Tab" && !event.shiftKey && event.target === query) {
    event.preventDefault();
    query.setRangeText("  ", query.selectionStart, query.selectionEnd, "end");
  }
}

async function toggle() {
  docs.hidden = !docs.hidden;
  at("toggle").setAttribute("aria-expanded", String(!docs.hidden));
  document.querySelector("main").classList.toggle("open", !docs.hidden);
  if (!docs.hidden) await open(docs, ask);
}

at("examples").append(...Object.keys(EXAMPLES).map((name) => new Option(name)));
at("examples").addEventListener("change", (event) => {
  query.value = EXAMPLES[event.target.value];
  variables.value = "{}";
  run();
});
at("run").addEventListener("click", run);
at("toggle").addEventListener("click", toggle);
for (const editor of [query, variables]) editor.addEventListener("keydown", indent);
query.value = localStorage.getItem("costhook.query") || Object.values(EXAMPLES)[0];
variables.value = localStorage.getItem("costhook.variables") || "{}";
run();
