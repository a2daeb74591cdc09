using VoicePlatform.Contracts.Assistants;
using VoicePlatform.Contracts.Sessions;

namespace VoicePlatform.Agent.Turns;

/// <summary>
/// Whether an answering machine took the call, and when its recording begins. Pure: no clock, no timer, no task. It listens from the
/// answer on, beside the greeting, and delays nothing.
/// </summary>
internal sealed class MachineWatch(PhoneCall? phone)
{
    // Machines say so at once; who talks about a mailbox later is a person.
    private static readonly TimeSpan Window = TimeSpan.FromSeconds(30);

    // Silence after a machine's greeting that counts as the beep, where none was heard.
    private static readonly TimeSpan BeepPatience = TimeSpan.FromSeconds(2.5);

    // A greeting that does not end is talked over.
    private static readonly TimeSpan LongestGreeting = TimeSpan.FromSeconds(45);

    private DateTimeOffset? _answeredAt;
    private DateTimeOffset _foundAt;
    private DateTimeOffset? _silentSince;
    private bool _isFound;

    /// <summary>A machine took the call; its beep is waited for.</summary>
    public bool IsWaiting { get; private set; }

    public VoicemailAction Action => phone is { Direction: CallDirection.Outbound } ? phone.Voicemail.Action : VoicemailAction.None;

    public string Message => phone?.Voicemail.Message ?? "";

    /// <summary>When the message is said although no beep was heard; null while it is not waited for.</summary>
    public DateTimeOffset? DueAt => !IsWaiting ? null : _silentSince is { } silent && silent + BeepPatience < _foundAt + LongestGreeting ? silent + BeepPatience : _foundAt + LongestGreeting;

    public void OnAnswered(DateTimeOffset at) => _answeredAt = at;

    /// <summary>Whether these words, said now, are the first of a machine.</summary>
    public bool IsMachine(string text, DateTimeOffset now) =>
        Action is not VoicemailAction.None && !_isFound && _answeredAt is { } answered && now - answered < Window && Cues.IsMachine(text);

    /// <summary>A message is to be left: from now on the beep is waited for.</summary>
    public void AwaitBeep(DateTimeOffset now, bool isSpeaking) => (_isFound, IsWaiting, _foundAt, _silentSince) = (true, true, now, isSpeaking ? null : now);

    public void OnSound() => _silentSince = null;

    public void OnSilence(DateTimeOffset since) => _silentSince = since;

    /// <summary>The message is said now, or something else that ends the call.</summary>
    public void StopWaiting() => IsWaiting = false;
}
