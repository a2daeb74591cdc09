using System.Globalization;
using System.Reflection;
using Microsoft.AspNetCore.Diagnostics;
using Microsoft.AspNetCore.Http.Metadata;
using Microsoft.AspNetCore.Mvc;
using VoicePlatform.Host.Mcp;

namespace VoicePlatform.Host;

/// <summary>Statuses that no handler wrote a body for (no such route, wrong method) are problems too; and every answer has a request id.</summary>
internal static class StatusPages
{
    private const string RequestIdHeader = "x-request-id";

    public static Task WriteAsync(StatusCodeContext context) => context.HttpContext.WriteProblemAsync(
        context.HttpContext.Response.StatusCode,
        context.HttpContext.Response.StatusCode switch
        {
            StatusCodes.Status400BadRequest when Unreadable(context.HttpContext) is { } parameter => Failures.Unreadable(parameter),
            StatusCodes.Status404NotFound => new Error(ErrorKind.NotFound, "route.not_found", "There is nothing at this address."),
            StatusCodes.Status405MethodNotAllowed => new Error(ErrorKind.Malformed, "route.method_not_allowed", "This address does not take this method."),
            StatusCodes.Status415UnsupportedMediaType => new Error(ErrorKind.Malformed, "request.media_type", "Send the body as application/json."),
            var status => new Error(ErrorKind.Malformed, "request.refused", $"The request was refused with status {status}."),
        });

    /// <summary>The parameter of the address that is not of its type: routes refuse it without a word.</summary>
    private static string? Unreadable(HttpContext http)
    {
        foreach (var parameter in http.GetEndpoint()?.Metadata.GetOrderedMetadata<IParameterBindingMetadata>() ?? [])
        {
            var name = parameter.ParameterInfo.GetCustomAttribute<FromQueryAttribute>()?.Name ?? parameter.Name;
            var text = http.Request.RouteValues[name] as string ?? (string?)http.Request.Query[name];
            if (parameter.HasTryParse && !string.IsNullOrEmpty(text) && !IsOf(parameter.ParameterInfo.ParameterType, text))
            {
                return name;
            }
        }

        return null;
    }

    /// <summary>As routes read the types that parameters have here.</summary>
    private static bool IsOf(Type type, string text) => (Nullable.GetUnderlyingType(type) ?? type) switch
    {
        var t when t == typeof(int) => int.TryParse(text, CultureInfo.InvariantCulture, out _),
        var t when t == typeof(long) => long.TryParse(text, CultureInfo.InvariantCulture, out _),
        var t when t == typeof(bool) => bool.TryParse(text, out _),
        var t when t == typeof(DateTimeOffset) => DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal | DateTimeStyles.AllowWhiteSpaces, out _),
        _ => true,
    };

    public static void UseRequestIds(this IApplicationBuilder app) => app.Use((context, next) =>
    {
        context.RequestServices.GetRequiredService<Caller>().Address = OnBehalf.AddressOf(context.Request) ?? context.Connection.RemoteIpAddress?.ToString();

        // At the last moment: the exception handler clears what was set before.
        context.Response.OnStarting(() =>
        {
            context.Response.Headers[RequestIdHeader] = context.TraceIdentifier;
            return Task.CompletedTask;
        });
        return next(context);
    });
}
