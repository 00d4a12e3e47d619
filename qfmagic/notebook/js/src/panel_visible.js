// All that the panel shows passes here: hidden characters in it are made visible. What is sent, typed or copied stays
// as it is.
import { options } from "preact";
import { visible } from "./visible.js";

const SHOWN = ["title", "aria-label", "aria-valuetext", "placeholder"];

function shown(child) {
  if (typeof child === "string") return visible(child);
  return Array.isArray(child) ? child.map(shown) : child;
}

const before = options.vnode;
options.vnode = (vnode) => {
  if (typeof vnode.type === "string" && vnode.props) {
    const { props } = vnode;
    if (props.children !== undefined) props.children = shown(props.children);
    for (const name of SHOWN) if (typeof props[name] === "string") props[name] = visible(props[name]);
  }
  before?.(vnode);
};
