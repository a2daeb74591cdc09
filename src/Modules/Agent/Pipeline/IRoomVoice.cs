namespace VoicePlatform.Agent.Pipeline;

/// <summary>How a conversation shows itself in its room. Never blocks: what cannot be told in time is dropped and counted.</summary>
internal interface IRoomVoice
{
    /// <param name="state">initializing, listening, thinking or speaking.</param>
    void ShowState(string state);

    /// <summary>Hands the caller over to somebody else (SIP REFER) and answers when that came about or not: null, or why not. Never fails.</summary>
    /// <param name="to">E.164, or sip:user@host.</param>
    Task<string?> TransferAsync(string to);

    /// <param name="segment">Texts of the same segment replace each other; the final one stays.</param>
    void ShowText(bool ofCaller, string segment, string text, bool final);
}
