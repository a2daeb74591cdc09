// Helpers for @livekit/rtc-node, LiveKit's native client library.
import {
  AudioFrame, AudioSource, AudioStream, LocalAudioTrack, Room, RoomEvent, TrackPublishOptions, TrackSource,
} from '@livekit/rtc-node';
import { strength, token, url } from './common.mjs';

const rate = 48000;

/** A participant that writes down what happens to it. */
export async function join(room, identity, { grant, more, autoSubscribe = true } = {}) {
  const joined = new Room();
  const events = [];
  const note = (name, fact) => joined.on(name, (...args) => events.push({ event: name, ...fact?.(...args) }));
  note(RoomEvent.ParticipantConnected, (p) => ({ identity: p.identity }));
  note(RoomEvent.ParticipantDisconnected, (p) => ({ identity: p.identity }));
  note(RoomEvent.TrackSubscribed, (track) => ({ sid: track.sid }));
  note(RoomEvent.TrackUnsubscribed, (track) => ({ sid: track.sid }));
  note(RoomEvent.TrackPublished, (publication) => ({ sid: publication.sid }));
  note(RoomEvent.TrackUnpublished, (publication) => ({ sid: publication.sid }));
  note(RoomEvent.TrackMuted, (publication) => ({ sid: publication.sid }));
  note(RoomEvent.TrackUnmuted, (publication) => ({ sid: publication.sid }));
  note(RoomEvent.LocalTrackSubscribed);
  note(RoomEvent.ActiveSpeakersChanged, (speakers) => ({ speakers: speakers.map((p) => p.identity) }));
  note(RoomEvent.ParticipantAttributesChanged, (changed, p) => ({ changed, identity: p.identity }));
  note(RoomEvent.ParticipantMetadataChanged, (metadata, p) => ({ identity: p?.identity }));
  note(RoomEvent.RoomMetadataChanged, (metadata) => ({ metadata }));
  note(RoomEvent.DataReceived, (data, p, kind, topic) => ({
    data: Buffer.from(data).toString(), identity: p?.identity, reliable: kind === 1, topic,
  }));
  note(RoomEvent.Reconnecting);
  note(RoomEvent.Reconnected);
  note(RoomEvent.Disconnected, (reason) => ({ reason }));
  const ears = { frames: 0, tone: 0, other: 0 };
  joined.on(RoomEvent.TrackSubscribed, (track) => listen(track, ears));
  await joined.connect(url, await token(room, identity, grant, more), { autoSubscribe, dynacast: false });
  return { room: joined, events, ears, has: (event, such = () => true) => events.some((e) => e.event === event && such(e)) };
}

async function listen(track, ears) {
  for await (const frame of new AudioStream(track, 16000, 1)) {
    ears.frames++;
    ears.tone = strength(frame.data, 440, 16000);
    ears.other = strength(frame.data, 880, 16000);
  }
}

/** Publishes a 440 Hz tone; stop() ends it. */
export async function publishTone(participant) {
  const source = new AudioSource(rate, 1);
  const options = new TrackPublishOptions();
  options.source = TrackSource.SOURCE_MICROPHONE;
  const publication = await participant.localParticipant.publishTrack(LocalAudioTrack.createAudioTrack('mic', source), options);
  let playing = true;
  const ended = (async () => {
    for (let phase = 0; playing;) {
      const frame = AudioFrame.create(rate, 1, rate / 100);
      for (let i = 0; i < frame.data.length; i++, phase += (2 * Math.PI * 440) / rate) {
        frame.data[i] = Math.round(Math.sin(phase) * 16000);
      }
      await source.captureFrame(frame);
    }
  })();
  return {
    sid: publication.sid,
    async stop() {
      playing = false;
      await ended;
    },
  };
}
