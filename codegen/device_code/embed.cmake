# Bytes of files as C: cmake -D OUT=x.c -D FILES=a.bc,b.bc -P embed.cmake. Defines the
# gml_device_bitcode of codegen/device_code/device_code.h.

string(REPLACE "," ";" files "${FILES}")
set(arrays "")
set(rows "")
set(n 0)
foreach(file IN LISTS files)
    get_filename_component(name ${file} NAME_WE)
    file(READ ${file} hex HEX)
    string(REGEX REPLACE "(..)" "0x\\1," bytes "${hex}")
    string(APPEND arrays "static const unsigned char bytes_${n}[] = {${bytes}};\n")
    string(APPEND rows "    {\"${name}.c\", bytes_${n}, sizeof bytes_${n}},\n")
    math(EXPR n "${n} + 1")
endforeach()
file(WRITE ${OUT} "#include \"codegen/device_code/device_code.h\"

${arrays}
const gml_bitcode gml_device_bitcode[] = {
${rows}    {NULL, NULL, 0},
};
const size_t gml_n_device_bitcode = ${n};
")
