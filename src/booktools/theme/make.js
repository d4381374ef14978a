/** An element with these properties and children. */
export const make = (name, values = {}, ...children) => {
  const element = Object.assign(document.createElement(name), values);
  element.append(...children);
  return element;
};

/** A script that is asked for only now. */
export const script = (address) =>
  new Promise((done, failed) => {
    const onerror = () => failed(new Error(`${address.replace(/^.*\//, "")} did not come. Is there a connection?`));
    document.head.append(make("script", { src: address, onload: done, onerror }));
  });
