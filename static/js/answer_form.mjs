// The questions of a schema inside an ordinary form: <div data-answer-form> holds annotation/_questions.html and a hidden input of the
// name in data-input (answers), whose value is the answers as JSON and follows every change. data-answers holds what to begin with,
// data-article="id" the element that shows the task. A form that is sent while something is missing stays, with the first of it in
// focus, unless data-anyway names a checkbox or radio that is not checked: then no answer is asked for.
import { say } from "./keys.mjs";
import { mountAll } from "./questions.mjs";

export async function attach(box) {
  const form = box.closest("form"), { input: name = "answers", answers, article, anyway } = box.dataset;
  const input = form.querySelector(`input[type=hidden][name="${name}"]`), wanted = anyway && form.querySelector(anyway);
  const mounted = await mountAll(box, article ? document.getElementById(article) : null, { changed: () => { write(); box.dispatchEvent(new Event("answered", { bubbles: true })); }, say, within: true });
  const write = () => { input.value = JSON.stringify(mounted.read()); };
  mounted.write(answers ? JSON.parse(answers) : null);
  write();
  form.addEventListener("submit", (event) => {
    if (event.submitter?.formNoValidate || (wanted && !wanted.checked)) return;
    const gap = mounted.missing();
    if (!gap) return write();
    event.preventDefault();
    say(`${gap.text}: ${gap.sentence}`);
    mounted.focus(gap.question);
  });
  return mounted;
}

for (const box of document.querySelectorAll("[data-answer-form]")) attach(box);
