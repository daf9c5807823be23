// A console for developers: the smallest client that does everything the contract asks of one. It keeps a cursor and resumes,
// notices holes in a room's versions, sends a message again under the same key until it is acknowledged, and shows every
// frame and request on the way. What people wrote reaches the page as text nodes only.

// ---------------------------------------------------------------- Words

const people = (names) => names.map((name) => `${name}님`).join(", ");
const list = (names) => new Intl.ListFormat("en").format(names);
const KO = {
  lang: "ko", console: "개발자용 콘솔", inspector: "들여다보기", signOut: "로그아웃", signIn: "로그인", handle: "아이디",
  lead: "서버를 눈으로 확인하는 개발자용 콘솔입니다. 제품의 웹 클라이언트가 아닙니다. 탭마다 다른 사람으로 로그인해 대화해 보세요.",
  newPerson: "새 사람 만들기", displayName: "이름", create: "만들기", rooms: "채팅", newRoom: "새 채팅", chooseRoom: "왼쪽에서 채팅방을 고르세요.",
  back: "목록으로", invite: "초대", rename: "이름 바꾸기", leave: "나가기", older: "이전 메시지", newest: "새 메시지 ↓", cancel: "취소",
  message: "메시지", send: "보내기", cut: "연결 끊어 보기", clear: "지우기", requests: "요청", frames: "프레임", reply: "답장", me: "나",
  unknown: "(알 수 없음)", self: "나와의 채팅", noRooms: "아직 대화가 없습니다.", ok: "확인", others: "다른 사람의 아이디 (쉼표로 구분)",
  roomName: "방 이름 (그룹, 선택)", newName: "새 이름", leaveAsk: "이 방에서 나갈까요?", noOne: "한 명 이상 고르세요.", waiting: "보내는 중…",
  noSuchPerson: "그런 사람이 없습니다", revoked: "다른 곳에서 로그인해 이 세션이 끝났습니다.", ended: "연결이 닫혔습니다",
  connecting: "연결 중", connected: (how, ms) => `연결됨 · ${how}${ms === null ? "" : ` · ${ms}ms`}`, again: (s) => `끊김 · ${s}초 뒤 다시 연결`,
  members: (n) => `${n}명`, unreadBy: (n) => `${n}명이 아직 읽지 않음`, unread: (n) => `읽지 않은 메시지 ${n}개`, typing: (who) => `${people(who)}이 입력하고 있습니다…`,
  invited: (a, b) => `${a}님이 ${people(b) || "멤버"}${b.length ? "을" : "를"} 초대했습니다.`, left: (a) => `${a}님이 나갔습니다.`,
  kicked: (a, b) => `${a}님이 ${people(b)}을 내보냈습니다.`, renamed: (a, name) => (name ? `${a}님이 방 이름을 “${name}”(으)로 바꿨습니다.` : `${a}님이 방 이름을 지웠습니다.`),
  roleChanged: (a, b, role) => `${a}님이 ${people(b) || "멤버"}의 역할을 바꿨습니다${role ? `: ${{ owner: "방장", admin: "관리자", member: "멤버" }[role]}` : ""}.`,
  notice: (a, text) => (text ? `${a}님이 공지를 올렸습니다: ${text}` : `${a}님이 공지를 내렸습니다.`),
  hidden: "볼 수 없는 메시지", deleted: "삭제된 메시지입니다.", wordless: "내용이 지워진 메시지입니다.", earlier: "이전 메시지에 답장",
};
const EN = {
  lang: "en", console: "console for developers", inspector: "Inspector", signOut: "Sign out", signIn: "Sign in", handle: "Handle",
  lead: "A console to look at the server with. It is not the product's web client. Sign in as somebody else in every tab and let them talk.",
  newPerson: "A new person", displayName: "Name", create: "Create", rooms: "Chats", newRoom: "New chat", chooseRoom: "Choose a chat on the left.",
  back: "Back to the list", invite: "Invite", rename: "Rename", leave: "Leave", older: "Older messages", newest: "New messages ↓", cancel: "Cancel",
  message: "Message", send: "Send", cut: "Cut the connection", clear: "Clear", requests: "Requests", frames: "Frames", reply: "Reply", me: "Me",
  unknown: "(unknown)", self: "Notes to self", noRooms: "No chats yet.", ok: "OK", others: "Handles of others (comma-separated)",
  roomName: "Name of the group (optional)", newName: "New name", leaveAsk: "Leave this chat?", noOne: "Choose at least one person.", waiting: "Sending…",
  noSuchPerson: "There is nobody called", revoked: "Signed in elsewhere: this session is over.", ended: "The connection was closed",
  connecting: "Connecting", connected: (how, ms) => `Connected · ${how}${ms === null ? "" : ` · ${ms} ms`}`, again: (s) => `Cut · again in ${s} s`,
  members: (n) => `${n} members`, unreadBy: (n) => `not read by ${n}`, unread: (n) => `${n} unread`, typing: (who) => `${list(who)} typing…`,
  invited: (a, b) => `${a} invited ${b.length ? list(b) : "people"}.`, left: (a) => `${a} left.`,
  kicked: (a, b) => `${a} removed ${list(b)}.`, renamed: (a, name) => (name ? `${a} renamed the chat to “${name}”.` : `${a} removed the chat's name.`),
  roleChanged: (a, b, role) => `${a} changed the role of ${b.length ? list(b) : "a member"}${role ? ` to ${role}` : ""}.`,
  notice: (a, text) => (text ? `${a} put up a notice: ${text}` : `${a} took the notice down.`),
  hidden: "A message you cannot see", deleted: "This message was deleted.", wordless: "This message has no words any more.", earlier: "In reply to an earlier message",
};
const words = navigator.language.toLowerCase().startsWith("ko") ? KO : EN;
const clockTime = new Intl.DateTimeFormat(words.lang, { hour: "numeric", minute: "2-digit" });
const calendarDay = new Intl.DateTimeFormat(words.lang, { dateStyle: "full" });

// ---------------------------------------------------------------- The page

const $ = (id) => document.getElementById(id);

/** An element with properties or attributes, and children that are elements or plain text. */
function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name in node) node[name] = value;
    else node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child !== null && child !== ""));
  return node;
}

function say(text) {
  $("notice").textContent = text;
  $("notice").hidden = false;
  clearTimeout(say.timer);
  say.timer = setTimeout(() => ($("notice").hidden = true), 6_000);
}

function report(error) {
  console.error(error);
  say(error instanceof Problem ? `${error.message} · ${error.status} ${error.code}` : String(error));
}

/** A handler of events that reports what goes wrong instead of losing it. */
const doing = (action) => (event) => {
  event?.preventDefault?.();
  Promise.resolve(action(event)).catch(report);
};

// ---------------------------------------------------------------- Requests

const session = JSON.parse(sessionStorage.getItem("session") ?? "{}"); // of this tab: {user_id, access_token, handle}

class Problem extends Error {
  constructor(status, problem) {
    super(problem?.detail ?? problem?.title ?? "");
    Object.assign(this, { status, code: problem?.code ?? "", errors: problem?.errors ?? [] });
  }
}

/** Asks, and asks again with the same key where the server says that a later try makes sense. */
async function api(method, path, { body, min } = {}) {
  const key = crypto.randomUUID();
  for (let attempt = 1; ; attempt += 1) {
    const { response, answer } = await request(method, path, { body, min, key });
    if (response.ok) return { answer, position: response.headers.get("X-Position") };
    const later = response.status === 503 || response.status === 425;
    if (later && attempt < 4) {
      const seconds = Number(response.headers.get("Retry-After")) || 1;
      await new Promise((wake) => setTimeout(wake, seconds * 1_000 * (0.5 + Math.random())));
    } else if (answer?.code === "expired_token" && attempt === 1) {
      await renew();
    } else {
      throw new Problem(response.status, answer);
    }
  }
}

async function request(method, path, { body, min, key }) {
  const headers = { Accept: "application/json" };
  if (session.access_token) headers.Authorization = `Bearer ${session.access_token}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (method !== "GET") headers["Idempotency-Key"] = key;
  if (min) headers["X-Min-Position"] = min;
  const started = performance.now();
  const response = await fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  const text = await response.text();
  const answer = response.headers.get("Content-Type")?.includes("json") && text ? JSON.parse(text) : null;
  const took = Math.round(performance.now() - started);
  const position = response.headers.get("X-Position");
  const replayed = response.headers.get("Idempotent-Replayed") ? " · replayed" : "";
  const title = `${response.status} ${method} ${path} · ${took} ms${position ? ` · ${position}` : ""}${replayed}`;
  note("requests", title, { request: { headers: { ...headers, Authorization: undefined }, body }, answer });
  return { response, answer };
}

/** A new token for the same person: the console signs in without a password, so it need not ask. */
async function renew() {
  const { response, answer } = await request("POST", "/v1/dev/sessions", { body: { handle: session.handle }, key: crypto.randomUUID() });
  if (!response.ok) throw new Problem(response.status, answer);
  session.access_token = answer.access_token;
  sessionStorage.setItem("session", JSON.stringify(session));
}

// ---------------------------------------------------------------- What is known

const state = {
  people: [], // the demo people: {handle, display_name, user_id?}
  names: new Map(), // user_id -> display name
  rooms: new Map(), // room_id -> Room as the API shows it, kept up to date by frames
  loaded: false,
  open: null, // the room on the screen
  pending: new Map(), // idempotency key -> {room_id, message} not acknowledged yet
};

const nameOf = (user) => state.names.get(user) || words.unknown;
const learn = (members) => members.forEach(({ user_id, display_name }) => display_name && state.names.set(user_id, display_name));

function titleOf(room) {
  if (room.alias ?? room.name) return room.alias ?? room.name;
  const others = room.members_sample.filter((member) => member.user_id !== session.user_id).map((member) => nameOf(member.user_id));
  if (room.kind === "direct") return others[0] ?? words.self;
  const more = room.member_count - 1 - others.length;
  return others.join(", ") + (more > 0 ? ` +${more}` : "");
}

async function load() {
  const rooms = new Map();
  for (let cursor = ""; cursor !== null; ) {
    const { answer } = await api("GET", `/v1/rooms?limit=100${cursor && `&cursor=${encodeURIComponent(cursor)}`}`);
    answer.items.forEach((room) => rooms.set(room.room_id, room));
    cursor = answer.next_cursor;
  }
  rooms.forEach((room) => learn(room.members_sample));
  const nameless = [...rooms.values()].filter(({ last_item }) => last_item && !state.names.has(last_item.author_id));
  await Promise.all(nameless.map((room) => fetchMembers(room.room_id)));
  Object.assign(state, { rooms, loaded: true });
  drawRooms();
  if (state.open) await openRoom(state.open.id);
}

/** Fetches one room. What frames keep up to date (version, unread, last item) is taken over only where it was not known. */
async function fetchRoom(id, min) {
  const { answer } = await api("GET", `/v1/rooms/${id}`, { min });
  learn(answer.members_sample);
  const { name, alias, members_sample, member_count } = answer;
  const known = state.rooms.get(id);
  state.rooms.set(id, known ? Object.assign(known, { name, alias, members_sample, member_count }) : answer);
  drawRooms();
  if (state.open?.id === id) drawRoomHead();
}

function forget(id) {
  state.rooms.delete(id);
  if (state.open?.id === id) closeRoom();
  drawRooms();
}

// ---------------------------------------------------------------- The socket

const link = { socket: null, ready: false, cursor: null, attempts: 0, heard: 0, pinged: 0, took: null, how: "", after: null, timer: 0, beat: 0 };
const STOP = new Set([1009, 4002, 4004, 4010]); // something must be mended before another try makes sense

function connect() {
  clearTimeout(link.timer);
  const socket = new WebSocket(`${location.protocol === "https:" ? "wss:" : "ws:"}//${location.host}/v1/live`);
  Object.assign(link, { socket, ready: false, heard: Date.now(), after: null });
  showLink(words.connecting);
  const ours = (handler) => (event) => link.socket === socket && handler(event);
  socket.onopen = ours(() => transmit({ op: "hello", token: session.access_token, ...(link.cursor && { cursor: link.cursor }) }));
  socket.onmessage = ours(({ data }) => receive(JSON.parse(data)));
  socket.onclose = ours(({ code, reason }) => closed(code, reason));
}

/** The connection is gone: back after a random part of a growing time, or when the server asked us to come back. */
async function closed(code, reason) {
  clearInterval(link.beat);
  Object.assign(link, { socket: null, ready: false });
  note("frames", `✕ ${code} ${reason}`, { code, reason });
  if (code === 4004) return signOut(words.revoked);
  if (STOP.has(code)) return showLink(`${words.ended}: ${code} ${reason}`);
  if (code === 4003) await renew().catch(report);
  const wait = link.after ?? Math.random() * Math.min(30_000, 500 * 2 ** link.attempts);
  link.attempts += 1;
  link.timer = setTimeout(connect, wait);
  showLink(words.again(Math.ceil(wait / 1_000)));
}

function cut() {
  const { socket } = link;
  if (!socket) return connect();
  closed(4000, "cut here");
  socket.close();
}

/** Writes a frame if there is a connection to write it to: nothing goes before the hello, and little before its answer. */
function transmit(frame) {
  if (link.socket?.readyState !== WebSocket.OPEN || (!link.ready && frame.op !== "hello")) return false;
  link.socket.send(JSON.stringify(frame));
  const shown = frame.token ? { ...frame, token: "…" } : frame;
  note("frames", `→ ${frame.op}`, shown);
  return true;
}

function receive(frame) {
  link.heard = Date.now();
  note("frames", `← ${frame.type ?? frame.op}${frame.version ? ` v${frame.version}` : ""}${frame.position ? ` · ${frame.position}` : ""}`, frame);
  switch (frame.op) {
    case "ready": return ready(frame);
    case "heartbeat": return keepCursor(frame.cursor);
    case "pong": return showLink(words.connected(link.how, (link.took = link.heard - link.pinged)));
    case "event": return void enqueue(() => apply(frame));
    case "ack": return void enqueue(() => acknowledged(frame));
    case "problem": return refused(frame);
    case "reconnect": return void (link.after = frame.after_ms);
  }
}

function keepCursor(cursor) {
  link.cursor = cursor;
  $("cursor").textContent = `cursor ${cursor}`;
}

function ready({ cursor, resumed, heartbeat_ms }) {
  Object.assign(link, { ready: true, attempts: 0, how: resumed });
  keepCursor(cursor);
  showLink(words.connected(resumed, link.took));
  if (resumed !== "replayed" || !state.loaded) enqueue(load);
  transmit({ op: "focus", room_id: state.open?.id ?? null });
  state.pending.forEach((_, key) => deliver(key));
  link.beat = setInterval(() => beat(heartbeat_ms), heartbeat_ms);
}

function beat(every) {
  if (Date.now() - link.heard > 3 * every) return cut();
  link.pinged = Date.now();
  transmit({ op: "ping" });
}

function showLink(text) {
  $("link").textContent = text;
  $("link").dataset.ready = link.ready;
}

// ---------------------------------------------------------------- Events, one after the other

let queue = Promise.resolve();
const enqueue = (job) => (queue = queue.then(job).catch(report));

async function apply(frame) {
  const { type, room_id, version, data } = frame;
  if (type === "session.revoked") return signOut(words.revoked);
  if (type === "typing") return showTyping(room_id, data.user_id);
  if (!room_id) return; // about people: nothing of that is on this page
  if ((type === "member.left" || type === "member.kicked") && data.user_ids.includes(session.user_id)) return forget(room_id);
  const room = state.rooms.get(room_id);
  if (!room) return fetchRoom(room_id, frame.position).catch(ignoreMissing);
  if (version !== undefined && version <= room.version) return; // seen before: a replay, or fetched meanwhile
  if (version > room.version + 1) return catchUp(room, frame.position);
  return happened(room, frame);
}

/** A room whose membership ended meanwhile answers 404, and a later frame says so. */
function ignoreMissing(error) {
  if (error.status !== 404) throw error;
}

/** Versions have a hole: something was missed, so the room is asked for everything since. */
async function catchUp(room, min) {
  try {
    const { answer } = await api("GET", `/v1/rooms/${room.room_id}/changes?after_version=${room.version}`, { min });
    for (const frame of answer.items) {
      if (frame.version === undefined || frame.version === room.version + 1) await happened(room, frame);
    }
    room.version = answer.version;
  } catch (error) {
    if (error.code !== "too_far_behind") return ignoreMissing(error);
    state.rooms.delete(room.room_id);
    await fetchRoom(room.room_id, min);
    if (state.open?.id === room.room_id) await openRoom(room.room_id);
  }
}

async function happened(room, { type, room_id, version, position, data }) {
  const open = state.open?.id === room_id ? state.open : null;
  const item = type.startsWith("message.") ? data : data.item;
  room.version = version ?? room.version;
  room.position = position;
  if (item && item.seq >= (room.last_item?.seq ?? 0)) room.last_item = { ...item, preview: item.text?.slice(0, 100) };
  switch (type) {
    case "message.sent":
      if (item.author_id === session.user_id) Object.assign(room, { read_seq: item.seq, unread_count: 0 });
      else room.unread_count += 1;
      advance(open, item.author_id, item.seq);
      open?.typing.delete(item.author_id);
      if (open) $("announcer").textContent = `${nameOf(item.author_id)}: ${item.text ?? ""}`;
      break;
    case "room.changed":
      for (const field of ["name", "notice", "settings"]) if (field in data) room[field] = data[field];
      break;
    case "member.joined":
    case "member.left":
    case "member.kicked":
      await membersChanged(room_id, open, type, data, position);
      break;
    case "read.advanced":
      data.reads.forEach(({ user_id, read_seq }) => advance(open, user_id, read_seq));
      break;
    case "unread.changed":
      if (data.read_seq > room.read_seq) Object.assign(room, data);
      advance(open, session.user_id, data.read_seq);
      break;
    case "seat.changed":
      if (data.preferences) Object.assign(room, data.preferences);
      else if (!data.hidden_seqs) {
        forget(room_id);
        return fetchRoom(room_id, position).catch(ignoreMissing);
      }
      break;
    case "room.closed":
      return forget(room_id);
  }
  if (open && item) putItem(item);
  if (open) {
    drawRoomHead();
    drawNumbers();
    drawTyping();
    markRead();
  }
  drawRooms();
}

async function membersChanged(id, open, type, { user_ids, item }, min) {
  await fetchRoom(id, min).catch(ignoreMissing);
  if (!open) return;
  if (type === "member.joined") {
    user_ids.forEach((user) => open.reads?.set(user, item?.seq ?? 0));
    await fetchMembers(id, min);
  } else {
    user_ids.forEach((user) => open.reads?.delete(user));
    open.members = open.members.filter((member) => !user_ids.includes(member.user_id));
  }
}

function advance(open, user, seq) {
  if (open?.reads?.has(user)) open.reads.set(user, Math.max(seq, open.reads.get(user)));
}

// ---------------------------------------------------------------- The list of rooms

function drawRooms() {
  const rooms = [...state.rooms.values()].filter((room) => room.last_item || room.room_id === state.open?.id);
  const activity = (room) => room.last_item?.sent_at ?? "9"; // one that was just begun comes first
  rooms.sort((a, b) => activity(b).localeCompare(activity(a)));
  const focused = document.activeElement?.dataset?.room;
  $("rooms").replaceChildren(...rooms.map(roomEntry));
  if (focused) $("rooms").querySelector(`[data-room="${CSS.escape(focused)}"]`)?.focus();
  if (rooms.length === 0 && state.loaded) $("rooms").append(el("li", { className: "nothing" }, words.noRooms));
  const total = rooms.reduce((sum, room) => sum + room.unread_count, 0);
  Object.assign($("total"), { textContent: total, hidden: total === 0, title: words.unread(total) });
  document.title = `${total ? `(${total}) ` : ""}${nameOf(session.user_id)} · CocoTalk`;
  $("me").textContent = `${state.names.get(session.user_id) ?? ""} @${session.handle}`;
}

function roomEntry(room) {
  const { room_id, last_item, unread_count } = room;
  const title = titleOf(room);
  const button = el("button", { type: "button", "data-room": room_id, onclick: doing(() => openRoom(room_id)) },
    el("span", { className: `avatar hue-${parseInt(room_id.slice(-2), 16) % 6}`, "aria-hidden": "true" }, [...title][0] ?? ""),
    el("span", { className: "title" }, title, room.kind === "group" ? el("small", {}, String(room.member_count)) : "", room.pinned ? " 📌" : ""),
    last_item ? el("time", { dateTime: last_item.sent_at }, shortTime(last_item.sent_at)) : "",
    el("span", { className: "preview" }, last_item ? previewOf(room, last_item) : ""),
    unread_count ? el("span", { className: "badge", title: words.unread(unread_count) }, String(unread_count)) : "");
  if (room_id === state.open?.id) button.setAttribute("aria-current", "true");
  return el("li", {}, button);
}

function shortTime(at) {
  const date = new Date(at);
  return date.toDateString() === new Date().toDateString() ? clockTime.format(date) : date.toLocaleDateString(words.lang, { month: "short", day: "numeric" });
}

function previewOf(room, item) {
  if (item.kind !== "text") return lineText(item);
  const who = item.author_id === session.user_id ? words.me : nameOf(item.author_id);
  const text = item.deleted ? words.deleted : (item.preview ?? words.wordless);
  return room.kind === "group" ? `${who}: ${text}` : text;
}

function lineText(item) {
  const [by, whom] = [nameOf(item.author_id), (item.members ?? []).map(nameOf)];
  switch (item.kind) {
    case "invited": return words.invited(by, whom);
    case "left": return words.left(by);
    case "kicked": return words.kicked(by, whom);
    case "role_changed": return words.roleChanged(by, whom, item.role);
    case "renamed": return words.renamed(by, item.name ?? item.preview);
    case "notice": return words.notice(by, item.name ?? item.preview);
    case "hidden": return words.hidden;
    default: return item.kind; // a kind that this page does not know yet
  }
}

// ---------------------------------------------------------------- The open room

async function openRoom(id) {
  const timeline = { items: new Map(), nodes: new Map(), first: Infinity, last: 0, hasBefore: false, loading: false };
  const open = { id, ...timeline, reads: null, members: [], typing: new Map(), reply: null };
  if (state.open?.id !== id) $("text").value = "";
  state.open = open;
  document.body.dataset.pane = "room";
  if (!state.rooms.has(id)) await fetchRoom(id);
  const min = state.rooms.get(id)?.position;
  $("timeline").replaceChildren();
  drawRooms();
  drawRoomHead();
  drawPending();
  setReply(null);
  transmit({ op: "focus", room_id: id });
  await Promise.all([fetchMembers(id, min), fetchPage(open, "", min)]);
  if (state.open !== open) return;
  drawTimeline();
  drawRooms();
  scrollToEnd();
  markRead();
  if (matchMedia("(hover: hover)").matches) $("text").focus({ preventScroll: true }); // elsewhere it would open a keyboard
}

function closeRoom() {
  state.open = null;
  document.body.dataset.pane = "rooms";
  drawRoomHead();
  drawRooms();
  transmit({ op: "focus", room_id: null });
}

async function fetchMembers(id, min) {
  const { answer } = await api("GET", `/v1/rooms/${id}/members`, { min });
  learn(answer.items);
  if (state.open?.id === id) state.open.members = answer.items;
}

async function fetchPage(open, where, min) {
  const { answer } = await api("GET", `/v1/rooms/${open.id}/messages?limit=50${where}`, { min });
  for (const item of answer.items) {
    open.first = Math.min(open.first, item.seq);
    open.last = Math.max(open.last, item.seq);
    if (!open.items.has(item.seq)) open.items.set(item.seq, item);
  }
  open.hasBefore = answer.has_before;
  if (answer.members_read?.length) {
    open.reads ??= new Map();
    answer.members_read.forEach(({ user_id, read_seq }) => open.reads.set(user_id, Math.max(read_seq, open.reads.get(user_id) ?? 0)));
  }
}

async function loadOlder() {
  const { open } = state;
  if (!open?.hasBefore || open.loading) return;
  open.loading = true;
  try {
    await fetchPage(open, `&before=${open.first}`);
    if (state.open !== open) return;
    const below = $("scroller").scrollHeight - $("scroller").scrollTop;
    drawTimeline();
    $("scroller").scrollTop = $("scroller").scrollHeight - below;
  } finally {
    open.loading = false;
  }
}

function drawRoomHead() {
  const room = state.rooms.get(state.open?.id);
  $("room").hidden = !room;
  $("nothing").hidden = Boolean(room);
  if (!room) return;
  $("room-title").textContent = titleOf(room);
  $("room-about").textContent = room.kind === "group" ? words.members(room.member_count) : "";
  $("rename").hidden = room.kind !== "group";
}

function drawTimeline() {
  const { open } = state;
  open.nodes.clear();
  const seqs = [...open.items.keys()].sort((a, b) => a - b);
  $("timeline").replaceChildren(...seqs.flatMap((seq, i) => entry(open.items.get(seq), open.items.get(seqs[i - 1]))));
  $("older").hidden = !open.hasBefore;
  drawNumbers();
}

function putItem(item) {
  const { open } = state;
  const [known, atEnd] = [open.nodes.get(item.seq), isAtEnd()];
  open.items.set(item.seq, item);
  if (known) known.replaceWith(entry(item, open.items.get(item.seq - 1)).at(-1));
  else if (item.seq > open.last) $("timeline").append(...entry(item, open.items.get(open.last)));
  else drawTimeline();
  open.last = Math.max(open.last, item.seq);
  open.first = Math.min(open.first, item.seq);
  if (known) return;
  if (atEnd || item.author_id === session.user_id) scrollToEnd();
  else $("newest").hidden = false;
}

/** The nodes of an item: a new day if it begins one, and itself. */
function entry(item, before) {
  const at = item.sent_at && new Date(item.sent_at);
  const newDay = at && (!before?.sent_at || new Date(before.sent_at).toDateString() !== at.toDateString());
  const node = item.kind === "text" ? messageNode(item, newDay ? null : before) : el("li", { className: "line" }, lineText(item));
  state.open.nodes.set(item.seq, node);
  return newDay ? [el("li", { className: "day" }, calendarDay.format(at)), node] : [node];
}

function messageNode(item, before) {
  const mine = item.author_id === session.user_id;
  const goesOn = before?.kind === "text" && before.author_id === item.author_id && new Date(item.sent_at) - new Date(before.sent_at) < 60_000;
  const forMe = item.mentions?.includes(session.user_id);
  const meta = el("span", { className: "meta" },
    el("span", { className: "unread" }),
    el("time", { dateTime: item.sent_at, title: `${item.sent_at} · seq ${item.seq}` }, clockTime.format(new Date(item.sent_at))));
  const answer = el("button", { type: "button", className: "quiet answer", onclick: () => setReply(item) }, words.reply);
  return el("li", { className: `message${mine ? " mine" : ""}${goesOn ? " goes-on" : ""}${forMe ? " for-me" : ""}` },
    el("span", { className: mine || goesOn ? "unseen" : "author" }, mine ? words.me : nameOf(item.author_id)),
    el("div", { className: "said" }, el("div", { className: "bubble" }, quoteNode(item.reply_to), textNode(item)), meta, item.deleted ? "" : answer));
}

function quoteNode(answered) {
  if (!answered) return "";
  const text = answered.deleted ? words.deleted : (answered.preview ?? words.earlier);
  return el("blockquote", {}, answered.author_id ? el("b", {}, nameOf(answered.author_id)) : "", text);
}

function textNode(item) {
  if (item.deleted || item.text === undefined) return el("p", { className: "absent" }, item.deleted ? words.deleted : words.wordless);
  const marks = (item.mentions ?? []).map((user) => `@${nameOf(user)}`).sort((a, b) => b.length - a.length);
  if (marks.length === 0) return el("p", {}, item.text);
  const pattern = new RegExp(`(${marks.map((mark) => mark.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join("|")})`, "u");
  return el("p", {}, ...item.text.split(pattern).map((part) => (marks.includes(part) ? el("mark", {}, part) : part)));
}

/** How many have not read each message: counted from read positions where the server tells them, else as it last said. */
function drawNumbers() {
  const { open } = state;
  const reads = open.reads && [...open.reads];
  for (const [seq, node] of open.nodes) {
    const item = open.items.get(seq);
    const number = node.querySelector(".unread");
    if (!number) continue;
    const unread = reads ? reads.filter(([user, read_seq]) => user !== item.author_id && read_seq < seq).length : item.unread_member_count;
    number.textContent = unread ? String(Math.min(unread, 99)) : "";
    number.title = unread ? words.unreadBy(unread) : "";
  }
}

const isAtEnd = () => $("scroller").scrollHeight - $("scroller").scrollTop - $("scroller").clientHeight < 80;

function scrollToEnd() {
  $("scroller").scrollTop = $("scroller").scrollHeight;
  $("newest").hidden = true;
}

/** What is on the screen at the end of the timeline is read. */
function markRead() {
  const { open } = state;
  const room = state.rooms.get(open?.id);
  if (!room || document.visibilityState !== "visible" || !isAtEnd() || open.last <= room.read_seq) return;
  Object.assign(room, { read_seq: open.last, unread_count: 0 });
  advance(open, session.user_id, open.last);
  const marker = { room_id: open.id, seq: open.last };
  if (!transmit({ op: "read", ...marker })) api("PUT", `/v1/rooms/${open.id}/read-marker`, { body: { seq: marker.seq } }).catch(report);
  drawNumbers();
  drawRooms();
}

function showTyping(room_id, user) {
  const { open } = state;
  if (open?.id !== room_id) return;
  clearTimeout(open.typing.get(user));
  open.typing.set(user, setTimeout(() => { open.typing.delete(user); drawTyping(); }, 5_000));
  drawTyping();
}

function drawTyping() {
  const who = [...(state.open?.typing.keys() ?? [])].map(nameOf);
  $("typing").textContent = who.length ? words.typing(who) : "";
}

// ---------------------------------------------------------------- Writing

function send() {
  const [{ open }, text] = [state, $("text").value];
  if (!open || !text.trim()) return;
  const mentions = open.members.filter((member) => text.includes(`@${member.display_name}`)).map((member) => member.user_id);
  const message = { kind: "text", text, ...(open.reply && { reply_to: open.reply.message_id }), ...(mentions.length && { mentions }) };
  const key = crypto.randomUUID();
  state.pending.set(key, { room_id: open.id, message });
  deliver(key);
  $("text").value = "";
  setReply(null);
  drawMentionable();
  drawPending();
  scrollToEnd();
}

/** Sends what is pending, or leaves it until there is a connection again: the key makes it one message however often. */
function deliver(key) {
  const { room_id, message } = state.pending.get(key);
  transmit({ op: "send", room_id, idempotency_key: key, message });
}

function acknowledged({ idempotency_key }) {
  state.pending.delete(idempotency_key);
  drawPending();
}

function refused({ idempotency_key, problem }) {
  const sent = state.pending.get(idempotency_key);
  report(new Problem(problem.status, problem));
  if (!sent) return;
  state.pending.delete(idempotency_key);
  if (sent.room_id === state.open?.id && !$("text").value) $("text").value = sent.message.text;
  drawPending();
}

function drawPending() {
  const here = [...state.pending.values()].filter(({ room_id }) => room_id === state.open?.id);
  $("pending").replaceChildren(...here.map(({ message }) => el("li", { className: "message mine" },
    el("div", { className: "said" }, el("div", { className: "bubble" }, el("p", {}, message.text)), el("span", { className: "meta" }, words.waiting)))));
}

function setReply(item) {
  if (!state.open) return;
  state.open.reply = item;
  $("reply").hidden = !item;
  $("reply").firstElementChild.textContent = item ? `↳ ${nameOf(item.author_id)}: ${item.text ?? ""}` : "";
  if (item) $("text").focus();
}

/** While a word that begins with @ is being written: whom it could mean. */
function drawMentionable() {
  const begun = /(?:^|\s)@([^\s@]*)$/u.exec($("text").value.slice(0, $("text").selectionStart));
  const fits = ({ user_id, display_name }) => user_id !== session.user_id && display_name.toLowerCase().startsWith(begun[1].toLowerCase());
  const choice = ({ display_name }) =>
    el("button", { type: "button", className: "quiet", onclick: () => complete(display_name, begun[1]) }, `@${display_name}`);
  $("mentionable").replaceChildren(...(begun ? state.open.members.filter(fits).slice(0, 6).map(choice) : []));
}

function complete(name, begun) {
  const [field, end] = [$("text"), $("text").selectionStart];
  field.setRangeText(`${name} `, end - begun.length, end, "end");
  field.focus();
  drawMentionable();
}

function typed() {
  drawMentionable();
  const now = Date.now();
  if (state.open && $("text").value && now - (typed.told ?? 0) > 3_000 && transmit({ op: "typing", room_id: state.open.id })) typed.told = now;
}

// ---------------------------------------------------------------- Dialogs: new chat, invite, rename, leave

/** Shows a dialog and answers with its form's data, or null if it was given up. */
function ask(title, ok, ...fields) {
  const [dialog, form] = [$("dialog"), $("dialog").querySelector("form")];
  $("dialog-title").textContent = title;
  $("dialog-ok").textContent = ok;
  $("dialog-body").replaceChildren(...fields);
  dialog.showModal();
  return new Promise((answer) => {
    form.onsubmit = (event) => { event.preventDefault(); answer(new FormData(form)); dialog.close(); };
    dialog.onclose = () => answer(null);
  });
}

function peopleFields(without) {
  const choices = state.people.filter(({ user_id }) => !without.includes(user_id)).map(({ handle, display_name }) =>
    el("label", { className: "choice" }, el("input", { type: "checkbox", name: "person", value: handle }), ` ${display_name} `, el("small", {}, `@${handle}`)));
  return [el("div", { className: "choices" }, ...choices), el("label", {}, words.others, el("input", { name: "others", autocomplete: "off", spellcheck: false }))];
}

/** The ids of the people chosen. Until people can be looked up by handle, a development sign-in tells the id. */
async function chosen(data) {
  const handles = [...data.getAll("person"), ...data.get("others").split(/[\s,@]+/).filter(Boolean)];
  if (handles.length === 0) throw new Error(words.noOne);
  return Promise.all(handles.map(async (handle) => {
    const known = state.people.find((person) => person.handle === handle);
    if (known?.user_id) return known.user_id;
    const { answer } = await api("POST", "/v1/dev/sessions", { body: { handle } }).catch(() => { throw new Error(`${words.noSuchPerson} ${handle}`); });
    if (known) learn([{ ...known, user_id: answer.user_id }]);
    return answer.user_id;
  }));
}

async function newRoom() {
  const nameField = el("label", {}, words.roomName, el("input", { name: "name", maxLength: 50, autocomplete: "off" }));
  const data = await ask(words.newRoom, words.create, ...peopleFields([]), nameField);
  if (!data) return;
  const [user_ids, name] = [await chosen(data), data.get("name").trim()];
  const body = user_ids.length === 1 ? { kind: "direct", user_id: user_ids[0] } : { kind: "group", user_ids, ...(name && { name }) };
  await openNew(await api("POST", "/v1/rooms", { body }));
}

async function openNew({ answer, position }) {
  if (!state.rooms.has(answer.room_id)) await fetchRoom(answer.room_id, position);
  await openRoom(answer.room_id);
}

async function invite() {
  const { open } = state;
  const data = await ask(words.invite, words.invite, ...peopleFields(open.members.map((member) => member.user_id)));
  if (!data) return;
  const invited = await api("POST", `/v1/rooms/${open.id}/members`, { body: { user_ids: await chosen(data) } });
  if (invited.answer.room_id !== open.id) await openNew(invited); // out of a direct room comes a new group
}

async function rename() {
  const { id } = state.open;
  const value = state.rooms.get(id).name ?? "";
  const data = await ask(words.rename, words.ok, el("label", {}, words.newName, el("input", { name: "name", value, maxLength: 50, autocomplete: "off" })));
  if (data) await api("PATCH", `/v1/rooms/${id}`, { body: { name: data.get("name").trim() || null } });
}

async function leave() {
  const { id } = state.open;
  if (!(await ask(words.leaveAsk, words.leave))) return;
  await api("DELETE", `/v1/rooms/${id}/members/me`);
  forget(id);
}

// ---------------------------------------------------------------- The inspector

const NOTES = 100; // frames and requests that are kept

function note(where, title, what) {
  const time = new Date().toISOString().slice(11, 23);
  const details = el("details", {}, el("summary", {}, el("small", {}, time), ` ${title}`));
  details.ontoggle = () => details.children.length < 2 && details.append(el("pre", {}, JSON.stringify(what, null, 2)));
  $(where).prepend(el("li", {}, details));
  while ($(where).children.length > NOTES) $(where).lastChild.remove();
}

function inspect(shown) {
  $("inspector").hidden = !shown;
  $("inspect").setAttribute("aria-expanded", String(shown));
  document.body.dataset.inspecting = shown;
}

// ---------------------------------------------------------------- Coming and going

async function showDoor() {
  const { response, answer } = await request("GET", "/v1/dev/people", {});
  if (response.ok) state.people = answer.items;
  learn(state.people.filter((person) => person.user_id));
  $("people").replaceChildren(...state.people.map(({ handle, display_name }) => el("li", {},
    el("button", { type: "button", onclick: doing(() => signIn(handle)) }, display_name, el("small", {}, `@${handle}`)))));
}

async function signIn(handle) {
  const { answer } = await api("POST", "/v1/dev/sessions", { body: { handle } });
  enter({ ...answer, handle });
}

async function signUp(form) {
  const body = Object.fromEntries(new FormData(form));
  const { answer } = await api("POST", "/v1/dev/accounts", { body });
  learn([{ ...answer, display_name: body.display_name }]);
  enter({ ...answer, handle: body.handle });
}

function enter({ user_id, access_token, handle }) {
  Object.assign(session, { user_id, access_token, handle });
  sessionStorage.setItem("session", JSON.stringify(session));
  $("door").hidden = true;
  for (const id of ["desk", "inspect", "sign-out"]) $(id).hidden = false;
  document.body.dataset.pane = "rooms";
  inspect(matchMedia("(min-width: 1200px)").matches);
  const known = state.people.find((person) => person.handle === handle);
  if (known) learn([{ ...known, user_id }]);
  drawRooms();
  connect();
}

function signOut(why) {
  sessionStorage.clear();
  if (why) sessionStorage.setItem("notice", why);
  location.reload();
}

function start() {
  document.documentElement.lang = words.lang;
  document.querySelectorAll("[data-word]").forEach((node) => (node.textContent = words[node.dataset.word]));
  document.querySelectorAll("[data-label]").forEach((node) => node.setAttribute("aria-label", words[node.dataset.label]));
  $("text").placeholder = words.message;
  $("by-handle").onsubmit = doing(() => signIn(new FormData($("by-handle")).get("handle")));
  $("newcomer").onsubmit = doing(() => signUp($("newcomer")));
  const actions = { "new-room": newRoom, invite, rename, leave, back: closeRoom, older: loadOlder, newest: scrollToEnd, cut, "sign-out": () => signOut() };
  for (const [id, action] of Object.entries(actions)) $(id).onclick = doing(action);
  $("inspect").onclick = () => inspect($("inspector").hidden);
  $("clear").onclick = () => ["requests", "frames"].forEach((id) => $(id).replaceChildren());
  $("dialog-cancel").onclick = () => $("dialog").close();
  $("reply").lastElementChild.onclick = () => setReply(null);
  $("composer").onsubmit = doing(send);
  $("text").oninput = typed;
  $("text").onkeydown = (event) => {
    if (event.key === "Escape") setReply(null);
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return; // Enter also ends the composing of a Hangul syllable
    event.preventDefault();
    send();
  };
  $("scroller").onscroll = () => {
    if ($("scroller").scrollTop < 120) loadOlder().catch(report);
    if (isAtEnd()) $("newest").hidden = true;
    markRead();
  };
  document.onvisibilitychange = markRead;
  window.ononline = () => !link.socket && session.access_token && connect();
  const why = sessionStorage.getItem("notice");
  sessionStorage.removeItem("notice");
  if (why) say(why);
  showDoor().catch(report).finally(() => session.access_token && enter(session));
}

start();
