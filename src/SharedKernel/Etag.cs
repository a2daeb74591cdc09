using Microsoft.AspNetCore.Http;

namespace VoicePlatform.SharedKernel;

/// <summary>The revision of a resource as its entity tag, so that nobody overwrites a change that he has not seen (RFC 9110, If-Match).</summary>
public static class Etag
{
    public static string Of(int revision) => $"\"{revision}\"";

    public static void Tell(HttpContext http, int revision) => http.Response.Headers.ETag = Of(revision);

    /// <summary>What the request asks to find; empty when it does not care.</summary>
    public static string Wanted(HttpContext http) => http.Request.Headers.IfMatch.ToString();

    /// <summary>Null when the resource is as the request expects it; otherwise 412.</summary>
    /// <param name="wanted">If-Match as it was sent: one tag, several with commas between, or "*".</param>
    public static Error? Refusal(string wanted, int revision) =>
        wanted is "" or "*" || wanted.Split(',', StringSplitOptions.TrimEntries).Contains(Of(revision), StringComparer.Ordinal)
            ? null
            : new Error(ErrorKind.PreconditionFailed, "etag.changed", "It was changed since the version that If-Match names; read it again.");
}
