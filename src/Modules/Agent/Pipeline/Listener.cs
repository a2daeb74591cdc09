using VoicePlatform.Agent.Audio;
using VoicePlatform.Agent.Speech;
using VoicePlatform.LiveKit.Rtc;

namespace VoicePlatform.Agent.Pipeline;

/// <summary>
/// Listens to the caller's track: tells speech from silence, hands the recogniser each stretch of speech, from a moment before it
/// was noticed, and posts what happens.
/// </summary>
internal sealed class Listener(Conversation conversation, IRecogniser recogniser, TimeProvider clock, bool listensForBeeps = false)
{
    private const int LeadInFrames = 15;        // 300 ms before the detector was sure: soft first sounds
    private const int LongestSegment = 1000;    // 20 s: a recogniser that serves many is not held for ever by one noisy line

    private readonly short[] _frame = new short[Pcm.FrameSamples];
    private readonly short[] _leadIn = new short[LeadInFrames * Pcm.FrameSamples];
    private readonly BeepDetector? _beeps = listensForBeeps ? new BeepDetector() : null;
    private VoiceActivity _voice = new();
    private long _frames;
    private int _segment;
    private int _segmentFrames;

    /// <summary>Until the track ends. One track at a time.</summary>
    public async Task RunAsync(RemoteAudioStream track, CancellationToken ct)
    {
        (_voice, _frames) = (new VoiceActivity(), 0);
        while (await track.ReadAsync(_frame, ct) > 0)
        {
            await HearAsync(_frame, ct);
        }

        if (_voice.IsSpeech)
        {
            recogniser.End();
            await conversation.PostAsync(new ConversationEvent.SpeechStopped(clock.GetUtcNow()), ct);
        }
    }

    /// <summary>Takes a frame. Allocates only when speech starts or stops.</summary>
    internal ValueTask HearAsync(short[] frame, CancellationToken ct)
    {
        ConversationEvent? happened = null;
        switch (_voice.Next(frame))
        {
            case Activity.Started:
                Begin();
                for (var back = Math.Min(LeadInFrames, _frames); back > 0; back--)
                {
                    recogniser.Push(_leadIn.AsSpan((int)((_frames - back) % LeadInFrames) * Pcm.FrameSamples, Pcm.FrameSamples));
                }

                recogniser.Push(frame);
                happened = new ConversationEvent.SpeechStarted(clock.GetUtcNow());
                break;
            case Activity.Speech when ++_segmentFrames > LongestSegment:
                recogniser.End();
                Begin();
                recogniser.Push(frame);
                happened = new ConversationEvent.SpeechContinued();
                break;
            case Activity.Speech:
                recogniser.Push(frame);
                break;
            case Activity.Stopped:
                recogniser.End();
                happened = new ConversationEvent.SpeechStopped(clock.GetUtcNow() - TimeSpan.FromMilliseconds(_voice.SilentFrames * Pcm.FrameMs));
                break;
        }

        if (_beeps?.Next(frame) is true)
        {
            _ = conversation.TryPost(new ConversationEvent.Beeped());
        }

        frame.CopyTo(_leadIn.AsSpan((int)(_frames++ % LeadInFrames) * Pcm.FrameSamples));
        return happened is null ? ValueTask.CompletedTask : conversation.PostAsync(happened, ct);
    }

    private void Begin()
    {
        _segmentFrames = 0;
        recogniser.Begin(++_segment);
    }
}
