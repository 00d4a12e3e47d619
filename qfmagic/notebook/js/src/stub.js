// What the kernel sends with every answer but the first of a page: a few lines that find the bundle.
import { widget } from "./widget.js";

export default widget;
