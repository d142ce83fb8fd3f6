import { useEffect, useState } from "preact/hooks";
import { key } from "../api/key";
import { picture, thumbnailPath } from "../api/thumbnails";

/** A picture of the service; an empty frame until it is there, or where there is none. */
export function Picture({ path, alt, size }: { path: string; alt: string; size: number }) {
  const [url, setUrl] = useState<string | null>(null);
  useEffect(() => {
    let wanted = true;
    setUrl(null);
    void picture(path).then((found) => { if (wanted) setUrl(found); });
    return () => { wanted = false; };
  }, [path, key.value]);
  return url
    ? <img class="picture" src={url} alt={alt} width={size} height={size} draggable={false} />
    : <span class="picture empty" style={{ width: `${size}px`, height: `${size}px` }} />;
}

/** The thumbnail of a point of the map. */
export function Thumbnail({ id, size, alt = "" }: { id: string; size: number; alt?: string }) {
  return <Picture path={thumbnailPath(id)} alt={alt} size={size} />;
}
