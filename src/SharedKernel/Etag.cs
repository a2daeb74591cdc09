using System.Security.Cryptography;
using System.Text.Json;
using Microsoft.AspNetCore.Http;

namespace VoicePlatform.SharedKernel;

/// <summary>The revision of a resource as its entity tag, so that nobody overwrites a change that he has not seen (RFC 9110, If-Match).</summary>
public static class Etag
{
    public static string Of(int revision) => $"\"{revision}\"";

    /// <summary>
    /// Answers a resource that is only read, with a tag of what it says now: whoever shows the tag again (If-None-Match) and finds it unchanged is told
    /// so, 304, without a body.
    /// </summary>
    public static IResult Json<T>(HttpContext http, T value)
    {
        var body = JsonSerializer.SerializeToUtf8Bytes(value, SharedKernel.Json.Options);
        var tag = $"W/\"{Convert.ToHexStringLower(SHA256.HashData(body).AsSpan(0, 12))}\"";
        http.Response.Headers.ETag = tag;
        return http.Request.Headers.IfNoneMatch.ToString().Split(',', StringSplitOptions.TrimEntries).Contains(tag, StringComparer.Ordinal)
            ? Results.StatusCode(StatusCodes.Status304NotModified)
            : Results.Bytes(body, "application/json; charset=utf-8");
    }

    /// <summary>Answers a resource with the tag of its revision; a new one (201) also with where it is.</summary>
    public static IResult Answer<T>(HttpContext http, T resource, int revision, int status, string path)
    {
        http.Response.Headers.ETag = Of(revision);
        if (status == StatusCodes.Status201Created)
        {
            http.Response.Headers.Location = path;
        }

        return TypedResults.Json(resource, SharedKernel.Json.Options, statusCode: status);
    }

    /// <summary>What the request asks to find; empty when it does not care.</summary>
    public static string Wanted(HttpContext http) => http.Request.Headers.IfMatch.ToString();

    /// <summary>Null when the resource is as the request expects it; otherwise 412.</summary>
    /// <param name="wanted">If-Match as it was sent: one tag, several with commas between, or "*".</param>
    public static Error? Refusal(string wanted, int revision) =>
        wanted is "" or "*" || wanted.Split(',', StringSplitOptions.TrimEntries).Contains(Of(revision), StringComparer.Ordinal)
            ? null
            : new Error(ErrorKind.PreconditionFailed, "etag.changed", "It was changed since the version that If-Match names; read it again.");
}
