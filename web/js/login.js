// Signing in without leaving the page: with a name and a password, or with the one-time code behind the #.

import { byId, setText } from "./ui/dom.js";

const KEY = "chatd.token";

const error = byId("error");
const form = byId("form");
const codeForm = byId("code-form");

/**
 * The nick in a one-time code, `<nonce>.<until>.<nick>.<signature>`.
 *
 * @param {string} code
 */
function nickOf(code) {
  return code.split(".").slice(2, -1).join(".");
}

/** @param {string} words */
function showError(words) {
  setText(error, words);
  error.hidden = words === "";
}

/**
 * Ask the server.
 *
 * @param {Record<string, string>} said
 * @returns {Promise<{token: string, expires_in: number, nick: string} | string>} or what is wrong
 */
async function ask(said) {
  let answer;
  try {
    answer = await fetch("login", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(said),
    });
  } catch {
    return "Cannot reach the server. Try again in a moment.";
  }
  try {
    const told = await answer.json();
    return answer.ok ? told : String(told.error);
  } catch {
    return `The server answered ${answer.status} and nothing more.`;
  }
}

/** @param {{token: string, expires_in: number, nick: string}} told */
function showDone(told) {
  let kept = true;
  try {
    localStorage.setItem(KEY, JSON.stringify({ token: told.token, expires: Date.now() + told.expires_in * 1000 }));
  } catch {
    kept = false;
    showError("This browser keeps nothing for this page, so the chat will not know you.");
  }
  form.hidden = codeForm.hidden = byId("title").hidden = byId("none").hidden = true;
  setText(byId("nick"), told.nick);
  byId("token").value = told.token;
  byId("go").hidden = !kept;
  byId("done").hidden = false;
  byId("done-title").focus();
}

/**
 * Send a form by script, one try at a time.
 *
 * @param {HTMLFormElement} sent
 * @param {() => Record<string, string>} said
 * @param {() => void} failed
 */
function onSubmit(sent, said, failed) {
  let busy = false;
  sent.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (busy) {
      return;
    }
    busy = true;
    sent.setAttribute("aria-busy", "true");
    // Emptied first: the same words again are said again.
    showError("");
    const told = await ask(said());
    busy = false;
    sent.removeAttribute("aria-busy");
    if (typeof told === "string") {
      showError(told);
      failed();
    } else {
      showDone(told);
    }
  });
}

onSubmit(
  form,
  () => ({ user: byId("user").value, password: byId("password").value }),
  () => byId("password").select(),
);

let code = "";

onSubmit(
  codeForm,
  () => ({ code }),
  () => byId("code-button").focus(),
);

function readCode() {
  if (location.hash.length < 2) {
    return;
  }
  code = location.hash.slice(1);
  // Neither the address bar nor the history is a place for it.
  history.replaceState(null, "", location.pathname);
  const nick = nickOf(code);
  setText(byId("code-nick"), nick === "" ? "" : `, with the nick ${nick}`);
  setText(byId("code-button"), nick === "" ? "Sign in as moderator" : `Sign in as moderator ${nick}`);
  showError("");
  codeForm.hidden = false;
  form.hidden = byId("none").hidden = true;
}

addEventListener("hashchange", readCode);
readCode();
