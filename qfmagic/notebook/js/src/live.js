// The bundle: the live answer itself. The kernel sends it once to a page; stub.js finds it there.
import { view } from "./view.js";
import { HASH, registry, widget } from "./widget.js";

registry[HASH] ??= view;

export default widget;
