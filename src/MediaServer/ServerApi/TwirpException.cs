namespace VoicePlatform.MediaServer.ServerApi;

/// <summary>A refusal in Twirp's terms.</summary>
internal sealed class TwirpException(TwirpCode code, string message) : Exception(message)
{
    public TwirpCode Code => code;

    /// <summary>More about it, e.g. <c>sip_status_code</c>.</summary>
    public IReadOnlyDictionary<string, string>? Meta { get; init; }

    public static TwirpException Denied() => new(TwirpCode.Unauthenticated, "permissions denied");

    public static TwirpException NoRoom() => new(TwirpCode.NotFound, "requested room does not exist");

    // The words LiveKit uses; clients show them.
    public static TwirpException NoParticipant() => new(TwirpCode.NotFound, "twirp error unknown: participant does not exist");
}

/// <summary>Twirp's error codes that this server uses, with their HTTP statuses as values.</summary>
internal enum TwirpCode
{
    InvalidArgument,
    Malformed,
    NotFound,
    BadRoute,
    Unauthenticated,
    PermissionDenied,
    ResourceExhausted,
    FailedPrecondition,
    DeadlineExceeded,
    Canceled,
    Unimplemented,
    Internal,
    Unavailable,
}

/// <summary>How the codes look on the wire.</summary>
internal static class TwirpCodes
{
    public static (string Name, int Status) Wire(this TwirpCode code) => code switch
    {
        TwirpCode.InvalidArgument => ("invalid_argument", 400),
        TwirpCode.Malformed => ("malformed", 400),
        TwirpCode.NotFound => ("not_found", 404),
        TwirpCode.BadRoute => ("bad_route", 404),
        TwirpCode.Unauthenticated => ("unauthenticated", 401),
        TwirpCode.PermissionDenied => ("permission_denied", 403),
        TwirpCode.ResourceExhausted => ("resource_exhausted", 429),
        TwirpCode.FailedPrecondition => ("failed_precondition", 412),
        TwirpCode.Canceled => ("canceled", 408),
        TwirpCode.DeadlineExceeded => ("deadline_exceeded", 408),
        TwirpCode.Unimplemented => ("unimplemented", 501),
        TwirpCode.Unavailable => ("unavailable", 503),
        _ => ("internal", 500),
    };
}
